// Package cloudflare asks Cloudflare's GraphQL analytics what an account's R2
// did and holds, whoever did it: the numbers that stand beside mediamove's own.
//
// They are kept for 31 days, come from datasets that sample when there is much to
// count, and a day without figures looks like a day without events. So each answer
// carries a [Coverage], which says of every day how much is known, and nothing
// unknown is ever given as zero.
//
// The API reports refusals with HTTP status 200; each is turned into an [*Error].
// The token travels in one header to one host, is never shown, and no redirect is
// followed.
//
// Sources: developers.cloudflare.com/r2/platform/metrics-analytics and
// /analytics/graphql-api (errors, limits, sampling, confidence intervals).
package cloudflare
