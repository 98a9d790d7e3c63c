package main

import "strings"

// bar draws a part of a whole as blocks, to an eighth of a column; what isn't nothing
// shows.
func bar(part, whole int64, width int) string {
	if part <= 0 || whole <= 0 {
		return ""
	}
	eighths := max(1, int(float64(part)/float64(whole)*float64(8*width)))
	full := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		full += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return full
}

// spark draws a row of values, one column each, as high as the largest lets it be.
func spark(values []int64) string {
	var most int64
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	for _, v := range values {
		if v <= 0 {
			b.WriteRune('·')
			continue
		}
		b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(7, int(float64(v-1)/float64(most)*8))])
	}
	return b.String()
}

// wrap breaks text into lines that end before width columns. All of them begin in the
// column after the indent; what stands before the first one is the caller's.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	column := len([]rune(indent))
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteString("\n" + indent)
			column = len([]rune(indent))
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
