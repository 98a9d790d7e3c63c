// Package costs knows what R2 bills for: the class of every operation, a
// meter that counts requests as they are sent and can stop them, storage by
// day, billing cycles, prices that turn all that into a bill, and how the bill
// will go on.
//
//	counts by day ─▶ Track, Account ─▶ Use ─▶ PriceList.Bill ─▶ Bill
//	                       └─▶ Outlook ─▶ Forecast, Effects of levers, Shares
//
// Money is decimal and exact. What Cloudflare doesn't document is assumed to
// the account's disadvantage where that is cheap, and listed in [Assumptions].
// Everything here is pure: no I/O, no clock.
package costs

// An Op is an operation of R2's S3 API, as its price list and its analytics
// name it.
type Op uint8

// The operations that R2's price list names (developers.cloudflare.com/r2/pricing),
// then those that only its S3 page, its logs or its analytics name: see
// [Op.Listed]. ListObjects is ListObjectsV2 too.
const (
	Unknown Op = iota // whatever isn't below

	ListBuckets
	PutBucket
	ListObjects
	PutObject
	CopyObject
	CompleteMultipartUpload
	CreateMultipartUpload
	LifecycleStorageTierTransition
	ListMultipartUploads
	UploadPart
	UploadPartCopy
	ListParts
	PutBucketEncryption
	PutBucketCors
	PutBucketLifecycleConfiguration

	HeadBucket
	HeadObject
	GetObject
	UsageSummary
	GetBucketEncryption
	GetBucketLocation
	GetBucketCors
	GetBucketLifecycleConfiguration

	DeleteObject
	DeleteBucket
	AbortMultipartUpload

	DeleteObjects
	DeleteObjectsByPrefix
	DeleteBucketCors
	DeleteBucketEncryption
	DeleteBucketLifecycleConfiguration
	GetBucketVersioning
	GetBucketNotificationConfiguration
	GetBucketSippyConfiguration

	numOps
)

// An OpClass is how R2 bills an operation. The zero OpClass is the dearest.
type OpClass uint8

// R2's classes: changing and listing, reading, removing.
const (
	ClassA OpClass = iota
	ClassB
	Free
)

// String returns "Class A", "Class B" or "free".
func (c OpClass) String() string {
	switch c {
	case ClassB:
		return "Class B"
	case Free:
		return "free"
	default:
		return "Class A"
	}
}

// ops holds each operation's name and class. What Cloudflare doesn't state
// counts as Class A: too low a count could pass a limit. Practitioners find
// DeleteObjects free, and at 1,000 keys a request the caution is cheap; the
// dashboard sends the other ones a few times a day.
var ops = [numOps]struct {
	name  string
	class OpClass
}{
	Unknown:                         {"Unknown", ClassA},
	ListBuckets:                     {"ListBuckets", ClassA},
	PutBucket:                       {"PutBucket", ClassA},
	ListObjects:                     {"ListObjects", ClassA},
	PutObject:                       {"PutObject", ClassA},
	CopyObject:                      {"CopyObject", ClassA},
	CompleteMultipartUpload:         {"CompleteMultipartUpload", ClassA},
	CreateMultipartUpload:           {"CreateMultipartUpload", ClassA},
	LifecycleStorageTierTransition:  {"LifecycleStorageTierTransition", ClassA},
	ListMultipartUploads:            {"ListMultipartUploads", ClassA},
	UploadPart:                      {"UploadPart", ClassA},
	UploadPartCopy:                  {"UploadPartCopy", ClassA},
	ListParts:                       {"ListParts", ClassA},
	PutBucketEncryption:             {"PutBucketEncryption", ClassA},
	PutBucketCors:                   {"PutBucketCors", ClassA},
	PutBucketLifecycleConfiguration: {"PutBucketLifecycleConfiguration", ClassA},

	HeadBucket:                      {"HeadBucket", ClassB},
	HeadObject:                      {"HeadObject", ClassB},
	GetObject:                       {"GetObject", ClassB},
	UsageSummary:                    {"UsageSummary", ClassB},
	GetBucketEncryption:             {"GetBucketEncryption", ClassB},
	GetBucketLocation:               {"GetBucketLocation", ClassB},
	GetBucketCors:                   {"GetBucketCors", ClassB},
	GetBucketLifecycleConfiguration: {"GetBucketLifecycleConfiguration", ClassB},

	DeleteObject:         {"DeleteObject", Free},
	DeleteBucket:         {"DeleteBucket", Free},
	AbortMultipartUpload: {"AbortMultipartUpload", Free},

	DeleteObjects:                      {"DeleteObjects", ClassA},
	DeleteObjectsByPrefix:              {"DeleteObjectsByPrefix", ClassA},
	DeleteBucketCors:                   {"DeleteBucketCors", ClassA},
	DeleteBucketEncryption:             {"DeleteBucketEncryption", ClassA},
	DeleteBucketLifecycleConfiguration: {"DeleteBucketLifecycleConfiguration", ClassA},
	GetBucketVersioning:                {"GetBucketVersioning", ClassA},
	GetBucketNotificationConfiguration: {"GetBucketNotificationConfiguration", ClassA},
	GetBucketSippyConfiguration:        {"GetBucketSippyConfiguration", ClassA},
}

// known maps an op of any value into the table.
func (op Op) known() Op {
	if op >= numOps {
		return Unknown
	}
	return op
}

// String returns the operation's S3 name, or "Unknown".
func (op Op) String() string { return ops[op.known()].name }

// Class says how R2 bills op, [ClassA] for one it doesn't name.
func (op Op) Class() OpClass { return ops[op.known()].class }

// Listed reports whether R2's price list names op. The class of one that it
// doesn't name is our caution ([UnlistedOps]).
func (op Op) Listed() bool { return op != Unknown && op < DeleteObjects }

// ParseOp returns the operation that [Op.String] calls name. What S3 or R2's
// logs call otherwise is understood too, such as ListObjectsV2 and
// CreateBucket; for any other name it returns [Unknown] and false.
func ParseOp(name string) (Op, bool) {
	switch name {
	case "ListObjectsV1", "ListObjectsV2":
		return ListObjects, true
	case "CreateBucket":
		return PutBucket, true
	case "DeleteBucketLifecycle":
		return DeleteBucketLifecycleConfiguration, true
	}
	for op, o := range ops {
		if o.name == name {
			return Op(op), true
		}
	}
	return Unknown, false
}

// Charged reports whether R2 bills a request that it answered with this HTTP
// status. Its price list frees 401 and 403 and names 400 and 412 as billed;
// about the rest it says nothing, so they count ([FailedRequests]).
func Charged(status int) bool { return status != 401 && status != 403 }
