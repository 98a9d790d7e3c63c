package cleanup

import (
	"slices"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// Reasons beside those of package media, for objects that are never candidates.
const (
	reasonForeign  = "not a path of Mastodon's"
	reasonPrivate  = "private: archives and imports are never touched"
	reasonUnasked  = "the database has no table for it"
	reasonSpelling = "not in Unicode's normal form: its neighbour could be hit"
)

// A judged object is one of the listing with what the rows say of it. An empty kind is
// an owned object, or ours.
type judged struct {
	object r2.Object
	kind   ledger.SuspectKind
	reason string
	row    *media.Row // nil: there is none, or nobody was asked
	pruned bool       // an orphan because prune cleared its row and did not come to it yet
}

// askable says whether a row may own k's object, and where that row is.
func askable(k media.Key) (p media.Path, reason string) {
	p, err := media.Parse(k)
	switch {
	case err != nil, media.CheckKey(string(k)) != nil:
		return p, reasonForeign
	case k.Private():
		return p, reasonPrivate
	case media.Normal(string(k)) != string(k):
		return p, reasonSpelling
	}
	return p, ""
}

// A place is what [askable] says of a key. A scan reads every key just once: of all that
// it does itself, this takes longest.
type place struct {
	path   media.Path
	reason string
}

func locate(objects []r2.Object) []place {
	places := make([]place, len(objects))
	for i := range objects {
		places[i].path, places[i].reason = askable(objects[i].Key)
	}
	return places
}

func idsOf(objects []r2.Object) map[media.Class][]int64 { return idsAt(locate(objects)) }

// idsAt collects the rows to ask for, each once. Listings are sorted, so an object's
// styles and its row's other files stand close together: most doubles are neighbours.
func idsAt(places []place) map[media.Class][]int64 {
	ids := make(map[media.Class][]int64)
	last := new(place)
	for i := range places {
		at := &places[i]
		if at.reason != "" || last.path.Class == at.path.Class && last.path.ID == at.path.ID {
			continue
		}
		ids[at.path.Class] = append(ids[at.path.Class], at.path.ID)
		last = at
	}
	for class := range ids {
		slices.Sort(ids[class])
		ids[class] = slices.Compact(ids[class])
	}
	return ids
}

func judge(o r2.Object, rows mastodon.Rows) judged {
	p, reason := askable(o.Key)
	return judgeAt(o, &place{p, reason}, rows, nil)
}

// judgeAt says who owns o, which is at p. rows must be younger than o's listing and hold
// the answer for every id of [idsAt]; near is one of them that may be o's, or nil.
func judgeAt(o r2.Object, at *place, rows mastodon.Rows, near *media.Row) judged {
	if o.Key.Reserved() {
		return judged{object: o}
	}
	p := at.path
	if at.reason != "" {
		return judged{object: o, kind: ledger.Unknown, reason: at.reason}
	}
	asked, ok := rows[p.Class]
	if !ok {
		return judged{object: o, kind: ledger.Unknown, reason: reasonUnasked}
	}
	row := near // neighbours of a listing mostly share theirs
	if near == nil || near.Class != p.Class || near.ID != p.ID {
		row = nil
		if r, ok := asked[p.ID]; ok {
			row = &r
		}
	}
	switch why := media.Judge(p, row); {
	case why == media.Owned:
		return judged{object: o, row: row}
	case why == media.Unfamiliar:
		return judged{object: o, kind: ledger.Unknown, reason: string(why), row: row}
	case row != nil && (!row.Remote || row.Busy):
		// Nobody could fetch it again, so a person decides.
		return judged{object: o, kind: ledger.Review, reason: string(why), row: row}
	default:
		return judged{object: o, kind: ledger.Orphan, reason: string(why), row: row}
	}
}
