package r2

// An echo is what an answer to DeleteObjects says of one key.
type echo struct {
	key           string
	failed        bool // it is still there, because of code
	code, message string
}

// parseDeleted reads a DeleteResult, with the strict reader of listings: the SDK
// takes any document, and none, for a batch without errors.
func parseDeleted(text []byte) (echoes []echo, err error) {
	x := &xmlReader{rest: text}
	root := x.root()
	if x.err == nil && string(root) != "DeleteResult" {
		x.fail("a document that isn't about deletions")
	}
	for tag := range x.children(root) {
		switch failed := string(tag) == "Error"; {
		case failed, string(tag) == "Deleted":
			echoes = append(echoes, x.echo(tag, failed))
		default:
			x.skip(tag, maxDepth)
		}
	}
	x.end()
	if x.err != nil {
		return nil, x.err
	}
	return echoes, nil
}

// echo reads one of the result's own. What it lacks is "", which is no key.
func (x *xmlReader) echo(tag []byte, failed bool) echo {
	var key, code, message []byte
	for part := range x.children(tag) {
		switch string(part) {
		case "Key":
			x.once(part, &key)
		case "Code":
			x.once(part, &code)
		case "Message":
			x.once(part, &message)
		default:
			x.skip(part, maxDepth)
		}
	}
	return echo{string(key), failed, string(code), string(message)}
}
