package ui

import (
	"time"

	"thingpost/internal/iot"
)

// Texts of times are written in UTC by the server; static/js/app.js writes the
// same forms again in the reader's zone. The two must change together.

// exact is the title of every time.
func exact(t iot.Instant) string {
	return t.Time().Format("Monday 2 January 2006, 15:04:05.000 UTC")
}

// AgoText writes how far t lies from now: "now", "20 s ago", "in 1 h 51 min",
// "26 h ago", "3 days ago", and from 30 days on the date.
func AgoText(t, now iot.Instant) string {
	d := now.Sub(t)
	switch {
	case d.Abs() < time.Second:
		return "now"
	case d.Abs() >= 30*24*time.Hour:
		return dateText(t, now)
	case d > 0:
		return Span(d) + " ago"
	}
	return "in " + Span(-d)
}

// Span writes a length of time roughly, for a sentence: "20 s", "5 min", "1 h 51 min",
// "26 h", "3 days". Less than a second is "less than 1 s".
func Span(d time.Duration) string {
	seconds, minutes, hours := int(d/time.Second), int(d/time.Minute), int(d/time.Hour)
	switch {
	case d < time.Second:
		return "less than 1 s"
	case seconds < 60:
		return number(seconds) + " s"
	case minutes < 60:
		return number(minutes) + " min"
	case hours < 10 && minutes%60 > 0:
		return number(hours) + " h " + number(minutes%60) + " min"
	case hours < 48:
		return number(hours) + " h"
	}
	return number(hours/24) + " days"
}

// clockText writes the time of the day, with the day where it is another one.
func clockText(t, now iot.Instant) string {
	switch a, b := t.Time(), now.Time(); {
	case sameDay(t, now):
		return a.Format("15:04:05")
	case a.Year() == b.Year():
		return a.Format("2 Jan 15:04")
	default:
		return a.Format("2 Jan 2006")
	}
}

func sameDay(t, now iot.Instant) bool {
	return t.Time().Format(time.DateOnly) == now.Time().Format(time.DateOnly)
}

// dateText writes the day, with the year where it is another one.
func dateText(t, now iot.Instant) string {
	if t.Time().Year() == now.Time().Year() {
		return t.Time().Format("2 January")
	}
	return t.Time().Format("2 January 2006")
}

func stampText(t iot.Instant) string { return t.Time().Format("2 January 2006, 15:04:05") }

func pointText(t iot.Instant) string { return t.Time().Format("2 Jan 15:04") }

func minuteText(t iot.Instant) string { return t.Time().Format("15:04") }

// millisText writes the part of the second that clockText leaves out.
func millisText(t iot.Instant) string { return t.Time().Format(".000") }
