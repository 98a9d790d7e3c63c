package main

import (
	"example.org/mediamove/costs"
	"example.org/mediamove/media"
	"example.org/mediamove/verify"
)

// A verifyJSON is verify's --json. The counts of its first block are verdicts: every key has
// one of them, but Headers and Public come on top, as the bytes are the same there.
// Differences adds up what a person must look at: Removed, Deleted and HeldBack never are,
// Extra only before the switch. Asked are absent ones whose rows were looked up, and Unasked
// why none were although the settings name a database. Unknown says why Complete is false. Lost and Shrunk compare with
// the last whole listing, not with the ledger.
type verifyJSON struct {
	Schema string `json:"schema"`
	Run    int64  `json:"run,omitempty"`

	Same          int64 `json:"same"`
	Missing       int64 `json:"missing"`
	Differs       int64 `json:"differs"`
	Rewritten     int64 `json:"rewritten"`
	Extra         int64 `json:"extra"`
	OtherHost     int64 `json:"other_host"`
	NeverUploaded int64 `json:"never_uploaded"`
	Removed       int64 `json:"removed"`
	Deleted       int64 `json:"deleted"`
	ChangedOnDisk int64 `json:"changed_on_disk"`
	HeldBack      int64 `json:"held_back"`
	Exposed       int64 `json:"exposed"`
	Unread        int64 `json:"unread"`
	Headers       int64 `json:"headers"`
	Public        int64 `json:"public"`

	Differences int64    `json:"differences"`
	Complete    bool     `json:"complete"`
	Unknown     []string `json:"unknown"`

	Causes []verifyCauseJSON `json:"causes"`

	Listed     int64 `json:"listed"`
	Recorded   int64 `json:"recorded"`
	Unrecorded int64 `json:"unrecorded"`
	Gone       int64 `json:"gone_from_disk"`
	Lost       int64 `json:"lost"`
	Shrunk     int64 `json:"shrunk"`
	Probed     int64 `json:"probed"`
	Asked      int64 `json:"asked"`
	Bytes      int64 `json:"bytes"`
	Switched   bool  `json:"switched"`
	WholeDisk  bool  `json:"whole_disk"`

	Unasked string `json:"database_not_asked,omitempty"`

	Classes []verifyClassJSON `json:"classes"`
	Read    *readJSON         `json:"read,omitempty"`
	Looks   looksJSON         `json:"looks"`

	Repaired    int64            `json:"repaired"`
	Held        int64            `json:"not_repaired"`
	Refusal     string           `json:"certificate_refused,omitempty"`
	Certificate *certificateJSON `json:"certificate,omitempty"`

	Requests costs.Usage `json:"requests"`
	ClassA   int64       `json:"class_a"`
	ClassB   int64       `json:"class_b"`
	CostUSD  string      `json:"cost_usd"`
	Seconds  float64     `json:"seconds"`
}

// A verifyCauseJSON is what differs for one reason, with the first of its keys.
type verifyCauseJSON struct {
	Verdict string      `json:"verdict"`
	Cause   string      `json:"cause"`
	Objects int64       `json:"objects"`
	First   []media.Key `json:"first"`
}

// A verifyClassJSON counts what is the same in one class. Cached ones are below cache/.
type verifyClassJSON struct {
	Class   string `json:"class"`
	Cached  bool   `json:"cached"`
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

// A readJSON is what was read back. Objects were read to their end, and Equal of them had
// the recorded bytes; Resumed were read by earlier runs of the same part, and are in
// neither. Slot and Of say which part. The last block is of a sample: Bound is how many bad
// objects there may be at most, with 95 % confidence, if none was found. It is a pointer
// since 0 is the best of answers.
type readJSON struct {
	Asked   string `json:"asked"`
	Objects int64  `json:"objects"`
	Equal   int64  `json:"equal"`
	Bytes   int64  `json:"bytes"`
	Resumed int64  `json:"resumed"`

	Slot int `json:"slot,omitempty"`
	Of   int `json:"of,omitempty"`

	Seed       uint64  `json:"seed,omitempty"`
	Population int64   `json:"population,omitempty"`
	Share      float64 `json:"share,omitempty"`
	Bound      *int64  `json:"bound,omitempty"`
}

// A lookJSON is how many objects were looked at in one way, and how many were as they
// should be.
type lookJSON struct {
	Asked int64 `json:"asked"`
	Fine  int64 `json:"fine"`
}

// A looksJSON has the looks beside the listing. Private are keys of backups and imports:
// they are fine if a visitor does not get them.
type looksJSON struct {
	Headers lookJSON `json:"headers"`
	Public  lookJSON `json:"public"`
	Private lookJSON `json:"private"`
}

// A certificateJSON says where a certificate and its list are. The hash ties the two
// together: the certificate holds it too.
type certificateJSON struct {
	File    string `json:"file"`
	List    string `json:"list"`
	SHA256  string `json:"list_sha256"`
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

// json is the report for machines.
func (r *verifyReport) json() verifyJSON {
	of := r.Of
	out := verifyJSON{
		Schema: "mediamove.verify/1", Run: r.run,
		Same: of(verify.Same), Missing: of(verify.Missing), Differs: of(verify.Differs), Rewritten: of(verify.Rewritten),
		Extra: of(verify.Extra), OtherHost: of(verify.OtherHost), NeverUploaded: of(verify.NeverUploaded), Removed: of(verify.Removed), Deleted: of(verify.Deleted),
		ChangedOnDisk: of(verify.ChangedOnDisk), HeldBack: of(verify.HeldBack), Exposed: of(verify.Exposed),
		Unread: of(verify.Unread), Headers: of(verify.BadHeaders), Public: of(verify.BadPublic),
		Differences: r.remaining(), Complete: r.complete(), Unknown: append([]string{}, r.Unknown...),
		Listed: r.Listed, Recorded: r.Recorded, Unrecorded: r.Unrecorded, Gone: r.Gone, Lost: r.lost(), Shrunk: r.shrunk, Probed: r.Probes, Asked: r.Asked, Unasked: r.unasked,
		Bytes: r.Total().Bytes, Switched: r.Switched, WholeDisk: r.WholeDisk, Classes: []verifyClassJSON{}, Causes: []verifyCauseJSON{},
		Looks:    looksJSON{lookJSON(r.Headers), lookJSON(r.Public), lookJSON(r.Private)},
		Repaired: r.repaired, Held: r.held, Refusal: r.refusal, Certificate: r.certificate,
		Requests: r.requests, ClassA: r.requests.A(), ClassB: r.requests.B(), CostUSD: r.usd, Seconds: r.seconds,
	}
	if r.err != nil {
		out.Unknown = append(out.Unknown, oneLine(r.err.Error()))
	}
	for _, g := range r.causes {
		cause := verifyCauseJSON{Verdict: string(g.verdict), Cause: g.cause, Objects: g.n}
		for _, d := range g.first {
			cause.First = append(cause.First, d.Key)
		}
		out.Causes = append(out.Causes, cause)
	}
	out.Classes = append(out.Classes, r.classRows()...)
	if read := r.Read; read.Asked != "" {
		out.Read = &readJSON{Asked: read.Asked, Objects: read.Objects, Equal: read.Equal, Bytes: read.Bytes, Resumed: read.Resumed}
		switch read.Asked {
		case "sample":
			s := read.Sample
			out.Read.Seed, out.Read.Population, out.Read.Share, out.Read.Bound = s.Seed, s.Population, s.Share, new(s.Bound())
		default:
			out.Read.Slot, out.Read.Of = read.Slot, read.Of
		}
	}
	return out
}
