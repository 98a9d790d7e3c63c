package verify

import (
	"fmt"
	"strconv"
	"strings"

	"example.org/mediamove/media"
)

// A ClassTotal is what a list has of one class, local or below cache/.
type ClassTotal struct {
	Class          media.Class
	Cached         bool
	Objects, Bytes int64
}

// otherClass is the word for [media.Outside].
const otherClass = "other"

// appendClasses appends the table, aligned.
func (c *Certificate) appendClasses(b []byte) []byte {
	objects, size := len("objects"), len("bytes")
	for _, t := range c.Classes {
		objects = max(objects, len(strconv.FormatInt(t.Objects, 10)))
		size = max(size, len(strconv.FormatInt(t.Bytes, 10)))
	}
	const row = "%-31s%*s  %*s\n"
	b = fmt.Appendf(b, row, "by class", objects, "objects", size, "bytes")
	for _, t := range c.Classes {
		b = fmt.Appendf(b, row, t.name()+":", objects, strconv.FormatInt(t.Objects, 10), size, strconv.FormatInt(t.Bytes, 10))
	}
	return b
}

// name is the row's name on the page.
func (t *ClassTotal) name() string {
	class := printText(string(t.Class))
	if t.Class == media.Outside {
		class = otherClass
	}
	if t.Cached {
		return class + ", cache"
	}
	return class + ", local"
}

// addClass adds a line of the table. What only looks like one is found later.
func (c *Certificate) addClass(name, v string) {
	class, where, _ := strings.Cut(name, ", ")
	objects, size, _ := strings.Cut(v, " ")
	n, err := strconv.ParseInt(objects, 10, 64)
	m, err2 := strconv.ParseInt(strings.TrimLeft(size, " "), 10, 64)
	if err != nil || err2 != nil || where != "local" && where != "cache" {
		return
	}
	if class == otherClass {
		class = string(media.Outside)
	}
	c.Classes = append(c.Classes, ClassTotal{media.Class(class), where == "cache", n, m})
}

// checkClasses wants them to be the whole. That no class comes twice shows when the
// page is printed again.
func (c *Certificate) checkClasses() error {
	objects, size := c.Objects, c.Bytes
	for _, t := range c.Classes {
		if t.Objects < 1 || t.Objects > objects || t.Bytes < 0 || t.Bytes > size {
			return fmt.Errorf("class %q: odd counts", t.name())
		}
		objects -= t.Objects
		size -= t.Bytes
	}
	if objects != 0 || size != 0 {
		return fmt.Errorf("the classes lack %d objects and %d bytes of the whole", objects, size)
	}
	return nil
}
