// Package ui holds the components of the dashboard: buttons, fields, tables,
// badges, charts, and the functions that write numbers and times for people.
// Components know how things look and nothing of what they mean: they take
// plain values, never a domain type but iot.Instant, and ask no clock. The zero
// value of each props struct looks right. Start with types.go.
package ui
