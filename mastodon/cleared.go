package mastodon

import (
	"encoding/json"
	"fmt"

	"example.org/mediamove/media"
)

// RowOf makes the row again from the columns of a [Cleared], as far as its files' names
// go: what says which objects were its own.
func RowOf(class media.Class, id int64, columns []byte) (media.Row, error) {
	var names struct {
		File      *string `json:"file_file_name"`
		Thumbnail *string `json:"thumbnail_file_name"`
		Image     *string `json:"image_file_name"`
	}
	if err := json.Unmarshal(columns, &names); err != nil {
		return media.Row{}, fmt.Errorf("read the columns of row %d of %s: %w", id, class, err)
	}
	row := media.Row{Class: class, ID: id, Remote: true}
	add := func(attachment string, name *string) {
		f := media.Filed{Attachment: attachment}
		if name != nil {
			f.Name = *name
		}
		row.Files = append(row.Files, f)
	}
	switch class {
	case media.MediaAttachments:
		add("files", names.File)
		add("thumbnails", names.Thumbnail)
	case media.PreviewCards:
		add("images", names.Image)
	default:
		return media.Row{}, fmt.Errorf("row %d of %s: never cleared", id, class)
	}
	return row, nil
}
