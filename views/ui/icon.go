package ui

import "thingpost/static"

// IconName is the id of a symbol in static/icons.svg. The sprite is made from
// the constants here (static/css/icons.mjs), and a test holds both together.
type IconName string

// The icons of the sprite. All but the mark are Lucide's, by Lucide's names.
const (
	iconMark         IconName = "mark" // the product's own sign
	IconActivity     IconName = "activity"
	IconDownlink     IconName = "arrow-down-to-line"
	IconBan          IconName = "ban"
	IconInspector    IconName = "binary"
	IconBookOpen     IconName = "book-open"
	IconBuilding     IconName = "building-2"
	IconCheck        IconName = "check"
	IconChevronDown  IconName = "chevron-down"
	IconChevronLeft  IconName = "chevron-left"
	IconChevronRight IconName = "chevron-right"
	IconSwitch       IconName = "chevrons-up-down"
	IconAlert        IconName = "circle-alert"
	IconDone         IconName = "circle-check"
	IconHelp         IconName = "circle-question-mark"
	IconCancel       IconName = "circle-x"
	IconClock        IconName = "clock"
	IconCopy         IconName = "copy"
	IconDevice       IconName = "cpu"
	IconDownload     IconName = "download"
	IconMore         IconName = "ellipsis"
	IconExternalLink IconName = "external-link"
	IconEye          IconName = "eye"
	IconEyeOff       IconName = "eye-off"
	IconFileText     IconName = "file-text"
	IconFolder       IconName = "folder"
	IconOverview     IconName = "gauge"
	IconStorage      IconName = "hard-drive"
	IconInbox        IconName = "inbox"
	IconInfo         IconName = "info"
	IconKey          IconName = "key-round"
	IconTemplate     IconName = "layout-template"
	IconLink         IconName = "link"
	IconList         IconName = "list"
	IconLock         IconName = "lock"
	IconSignOut      IconName = "log-out"
	IconMenu         IconName = "menu"
	IconMonitor      IconName = "monitor"
	IconMoon         IconName = "moon"
	IconPause        IconName = "pause"
	IconPencil       IconName = "pencil"
	IconPlay         IconName = "play"
	IconPlus         IconName = "plus"
	IconRotate       IconName = "refresh-cw"
	IconReplay       IconName = "rotate-ccw"
	IconAudit        IconName = "scroll-text"
	IconSearch       IconName = "search"
	IconSend         IconName = "send"
	IconSliders      IconName = "sliders-horizontal"
	IconSun          IconName = "sun"
	IconTerminal     IconName = "terminal"
	IconInput        IconName = "text-cursor-input"
	IconTrash        IconName = "trash-2"
	IconWarning      IconName = "triangle-alert"
	IconUnplug       IconName = "unplug"
	IconUserPlus     IconName = "user-plus"
	IconUser         IconName = "user-round"
	IconUsers        IconName = "users"
	IconWebhook      IconName = "webhook"
	IconClose        IconName = "x"
)

// iconHref returns the address of an icon's symbol in the sprite.
func iconHref(name IconName) string { return static.Path("icons.svg") + "#" + string(name) }
