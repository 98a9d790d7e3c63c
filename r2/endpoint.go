package r2

import (
	"context"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A fixedEndpoint is where the bucket is, in path style (a certificate for
// bucket.account.eu.r2… isn't promised). The SDK's own rules come to the same,
// but look "auto" up among AWS's regions twice per request, compiling regular
// expressions each time: more than half of a request's CPU.
type fixedEndpoint struct {
	uri    url.URL // of the bucket
	region string
}

// ResolveEndpoint implements [s3.EndpointResolverV2].
func (f fixedEndpoint) ResolveEndpoint(context.Context, s3.EndpointParameters) (e smithyendpoints.Endpoint, _ error) {
	sigv4 := &smithyauth.Option{SchemeID: smithyauth.SchemeIDSigV4}
	smithyhttp.SetSigV4SigningName(&sigv4.SignerProperties, "s3")
	smithyhttp.SetSigV4SigningRegion(&sigv4.SignerProperties, f.region)
	smithyhttp.SetDisableDoubleEncoding(&sigv4.SignerProperties, true)
	smithyauth.SetAuthOptions(&e.Properties, []*smithyauth.Option{sigv4})
	e.URI = f.uri
	return e, nil
}
