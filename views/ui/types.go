package ui

// Tone is what a colour says. It never stands alone: a word or a shape says
// the same.
type Tone string

// The tones. Danger is only for what failed, Warning for what waits or was
// stopped, Info for what moves, Success for what went well.
const (
	Neutral Tone = ""
	Success Tone = "success"
	Warning Tone = "warning"
	Danger  Tone = "danger"
	Info    Tone = "info"
)

// Shape is the form of a status dot, so that it reads without colour.
type Shape string

// The shapes: Disc is good or moving, Square bad, Ring not yet, Dash stopped.
const (
	Disc   Shape = ""
	Ring   Shape = "ring"
	Dash   Shape = "dash"
	Square Shape = "square"
)

// Variant is the look of a button.
type Variant string

// The variants. A page has one Primary button; Ghost is for icons, cancel and
// clear; Destructive is for what loses something.
const (
	Primary     Variant = ""
	Outline     Variant = "outline"
	Ghost       Variant = "ghost"
	Destructive Variant = "destructive"
)

// Width is that of a column of a Fixed table.
type Width string

// Free shares what the others leave; the others are 68, 88, 112 and 132 px.
const (
	Free   Width = ""
	Narrow Width = "s"
	Medium Width = "m"
	Broad  Width = "l"
	Wider  Width = "xl"
)

// Phone is what becomes of a cell where rows fold into two lines, below 768 px.
type Phone string

// PhoneFlow keeps the cell in its turn, PhoneEnd puts it to the right,
// PhoneFull gives it a line of its own and PhoneOff hides it.
const (
	PhoneFlow Phone = ""
	PhoneEnd  Phone = "end"
	PhoneFull Phone = "full"
	PhoneOff  Phone = "off"
)

// The ids that pages, fragments and the script agree on.
const (
	ToastsID   = "toasts"   // the list of toasts; failures are retargeted here
	DialogID   = "dialog"   // the empty dialog that fragments fill
	DrawerID   = "drawer"   // the empty dialog at the side, with a row of a list
	KeysID     = "keys"     // the dialog that explains the keys
	MainID     = "main"     // the page's main element
	AnnounceID = "announce" // a polite live region without a look
	TailID     = "tail"     // the switch of a list that refreshes itself
)
