package ui

func (p ChartProps) height() int {
	if p.Height > 0 {
		return p.Height
	}
	return 218
}

func (p ChartProps) geometry() Geometry {
	return Geometry{Height: float64(p.height()), Top: 14, Bottom: 24}
}

// hiddenOnPhones reports whether a bar's label has to go where it is narrow:
// every other one, but not the last.
func (p ChartProps) hiddenOnPhones(i int) bool {
	labels := 0
	for _, bar := range p.Bars[i+1:] {
		if bar.Label != "" {
			labels++
		}
	}
	return labels%2 == 1
}

func (p ChartProps) tableHead() []Th {
	head := []Th{{Label: p.Unit}}
	for _, s := range p.Series {
		head = append(head, Th{Label: s.Name, Num: true})
	}
	return head
}

func (p SparkProps) height() float64 {
	if p.Large {
		return 36
	}
	return 24
}

func (p SparkProps) step() float64 {
	if p.Large {
		return 6.5
	}
	return 5.5
}
