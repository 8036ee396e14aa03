package ingest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/tidwall/gjson"

	"thingpost/internal/iot"
)

// SenML is a list of records (RFC 8428). We store its resolved form (section 4.6):
// names and units are complete, values and sums include their base, times are
// nanoseconds since 1970, and records are in order of time.

// Labels of SenML. CBOR has numbers for them.
const (
	labelVersion   = "bver"
	labelBaseName  = "bn"
	labelBaseTime  = "bt"
	labelBaseUnit  = "bu"
	labelBaseValue = "bv"
	labelBaseSum   = "bs"
	labelName      = "n"
	labelUnit      = "u"
	labelValue     = "v"
	labelString    = "vs"
	labelBool      = "vb"
	labelSum       = "s"
	labelTime      = "t"
	labelUpdate    = "ut"
	labelData      = "vd"
)

// cborLabel returns the label for a number of CBOR; "" if there is none.
func cborLabel(n int64) string {
	labels := [...]string{labelBaseSum, labelBaseValue, labelBaseUnit, labelBaseTime, labelBaseName, labelVersion,
		labelName, labelUnit, labelValue, labelString, labelBool, labelSum, labelTime, labelUpdate, labelData}
	const least = -6
	if n < least || n >= int64(len(labels))+least {
		return ""
	}
	return labels[n-least]
}

// senMLVersion is the version that we understand, and the default of a pack that names
// none.
const senMLVersion = 10

// sooner is 2^28 seconds: lower times are relative to now.
const sooner = 1 << 28

// number is a number of a record: exact, and as written.
type number struct {
	decimal
	text string
}

// record is one record as received. Empty and nil fields were absent.
type record struct {
	baseName, name         *string
	baseUnit, unit         string // JSON texts
	baseTime, time, update *number
	baseValue, value       *number
	baseSum, sum           *number
	version                *number
	text, flag, data       string // JSON values: a string, a boolean, a string in base64url
}

// values returns the count of value fields.
func (r *record) values() int {
	n := 0
	for _, there := range []bool{r.value != nil, r.text != "", r.flag != "", r.data != ""} {
		if there {
			n++
		}
	}
	return n
}

// onlyBases reports whether the record only sets bases for later records.
func (r *record) onlyBases() bool {
	return r.name == nil && r.unit == "" && r.time == nil && r.update == nil && r.sum == nil && r.values() == 0
}

func badRecord(i int, format string, args ...any) error {
	e := &iot.Error{Code: iot.Invalid, Err: ErrSenML}
	what := "is not SenML: "
	if i >= 0 {
		what += fmt.Sprintf("record %d ", i+1)
	}
	text := what + fmt.Sprintf(format, args...)
	e.Message, e.Fields = "payload: "+text, map[string]string{"payload": text}
	return e
}

// decodeJSONRecords reads the records of valid JSON.
func decodeJSONRecords(payload []byte) ([]record, error) {
	root := gjson.ParseBytes(payload)
	if !root.IsArray() {
		return nil, badRecord(-1, `it must be a list of records, like [{"n":"temperature","u":"Cel","v":21.5}].`)
	}
	var list []record
	var err error
	root.ForEach(func(_, e gjson.Result) bool {
		i := len(list)
		if !e.IsObject() {
			err = badRecord(i, "must be an object.")
			return false
		}
		var r record
		seen := map[string]bool{}
		e.ForEach(func(key, value gjson.Result) bool {
			if seen[key.Str] {
				err = badRecord(i, "has %s twice.", printable(key.Str))
				return false
			}
			seen[key.Str] = true
			err = r.takeJSON(i, key.Str, value)
			return err == nil
		})
		list = append(list, r)
		return err == nil
	})
	return list, err
}

func (r *record) takeJSON(i int, label string, v gjson.Result) error {
	if into := r.numberOf(label); into != nil {
		d, ok := parseDecimal(v.Raw)
		if v.Type != gjson.Number || !ok {
			return badRecord(i, "must have a number as %s.", label)
		}
		*into = &number{d, v.Raw}
		return nil
	}
	if label == labelBool {
		if !v.IsBool() {
			return badRecord(i, "must have true or false as vb.")
		}
		r.flag = v.Raw
		return nil
	}
	known, err := r.takeText(i, label, v.Type == gjson.String, v.Str, v.Raw)
	if err == nil && !known {
		err = unknownLabel(i, label)
	}
	return err
}

// numberOf returns where to keep the number of a label; nil for other labels.
func (r *record) numberOf(label string) **number {
	switch label {
	case labelVersion:
		return &r.version
	case labelBaseTime:
		return &r.baseTime
	case labelBaseValue:
		return &r.baseValue
	case labelBaseSum:
		return &r.baseSum
	case labelValue:
		return &r.value
	case labelSum:
		return &r.sum
	case labelTime:
		return &r.time
	case labelUpdate:
		return &r.update
	}
	return nil
}

// takeText keeps the text of a label; raw is its JSON. known is false for labels
// without a text.
func (r *record) takeText(i int, label string, isText bool, text, raw string) (known bool, err error) {
	switch label {
	case labelBaseName, labelName, labelBaseUnit, labelUnit, labelString, labelData:
	default:
		return false, nil
	}
	if !isText {
		return true, badRecord(i, "must have a text as %s.", label)
	}
	switch label {
	case labelBaseName:
		r.baseName = &text
	case labelName:
		r.name = &text
	case labelBaseUnit:
		r.baseUnit = raw
	case labelUnit:
		r.unit = raw
	case labelString:
		r.text = raw
	case labelData:
		if _, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "=")); err != nil {
			return true, badRecord(i, "must have base64url as vd.")
		}
		r.data = raw
	}
	return true, nil
}

// unknownLabel returns an error for a label that must be understood.
func unknownLabel(i int, label string) error {
	if strings.HasSuffix(label, "_") {
		return badRecord(i, "has the unknown field %s, which must be understood.", printable(label))
	}
	return nil
}

// decodeCBOR reads the records of SenML in CBOR (RFC 8428, section 6).
func decodeCBOR(payload []byte) ([]record, error) {
	const deepest = 16
	mode, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: deepest}.DecMode()
	if err != nil {
		return nil, err
	}
	var pack []map[any]any
	if err := mode.Unmarshal(payload, &pack); err != nil {
		return nil, &iot.Error{Code: iot.Invalid, Message: "payload: is not a SenML pack in CBOR: it must be an array of maps.",
			Fields: map[string]string{"payload": "is not a SenML pack in CBOR: it must be an array of maps."}, Err: errors.Join(ErrSenML, err)}
	}
	list := make([]record, 0, len(pack))
	for i, m := range pack {
		var r record
		for key, value := range m {
			label := ""
			switch k := key.(type) {
			case string:
				label = k
			case int64:
				label = cborLabel(k)
			case uint64:
				label = cborLabel(int64(min(k, math.MaxInt64)))
			}
			if err := r.takeCBOR(i, label, value); err != nil {
				return nil, err
			}
		}
		list = append(list, r)
	}
	return list, nil
}

func (r *record) takeCBOR(i int, label string, value any) error {
	if into := r.numberOf(label); into != nil {
		if *into != nil {
			return badRecord(i, "has %s twice.", label)
		}
		text, ok := cborNumber(value)
		d, parsed := parseDecimal(text)
		if !ok || !parsed {
			return badRecord(i, "must have a number as %s.", label)
		}
		if _, ok := value.(cbor.Tag); ok {
			text = d.String()
		}
		*into = &number{d, text}
		return nil
	}
	if label == labelBool {
		b, ok := value.(bool)
		if !ok {
			return badRecord(i, "must have true or false as vb.")
		}
		r.flag = strconv.FormatBool(b)
		return nil
	}
	text, isText := value.(string)
	if b, ok := value.([]byte); ok && label == labelData {
		text, isText = base64.RawURLEncoding.EncodeToString(b), true
	}
	known, err := r.takeText(i, label, isText, text, string(appendText(nil, text)))
	if err == nil && !known {
		err = unknownLabel(i, label)
	}
	return err
}

// cborNumber returns a number of CBOR in JSON's form.
func cborNumber(value any) (text string, ok bool) {
	switch v := value.(type) {
	case uint64:
		return strconv.FormatUint(v, 10), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case big.Int:
		return v.String(), v.BitLen() <= 4*maxDecimal
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), !math.IsNaN(v) && !math.IsInf(v, 0)
	case cbor.Tag:
		const decimalFraction = 4
		parts, _ := v.Content.([]any)
		if v.Number != decimalFraction || len(parts) != 2 {
			return "", false
		}
		exponent, isWhole := cborNumber(parts[0])
		mantissa, alsoWhole := cborNumber(parts[1])
		return mantissa + "e" + exponent, isWhole && alsoWhole && !strings.ContainsAny(exponent+mantissa, ".e")
	}
	return "", false
}

// resolved is a record in its resolved form, before JSON.
type resolved struct {
	time int64
	json []byte
}

// nameForm is the form of a complete name (RFC 8428, section 4.5.1).
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9\-:./_]*$`)

// resolve returns the resolved records of a pack as JSON. Relative times count from
// now. Records without a time get now.
func resolve(pack []record, now time.Time) ([]byte, error) {
	var list []resolved
	var base bases
	size := 0
	for i := range pack {
		r := &pack[i]
		if err := base.follow(i, r); err != nil {
			return nil, err
		}
		if r.onlyBases() && base.baseValue == nil && base.baseSum == nil {
			continue
		}
		one, err := base.resolve(i, r, now)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
		if size += len(one.json) + 1; size > iot.MaxMessageBytes {
			return nil, errTooLong
		}
	}
	if len(list) == 0 {
		return nil, badRecord(-1, "it has no records.")
	}
	slices.SortStableFunc(list, func(a, b resolved) int {
		switch {
		case a.time < b.time:
			return -1
		case a.time > b.time:
			return 1
		}
		return 0
	})
	out := make([]byte, 0, size+2)
	for i, r := range list {
		out = append(out, "[,"[min(i, 1)])
		out = append(out, r.json...)
	}
	return append(out, ']'), nil
}

// bases are the base values that apply to a record: the last ones before it.
type bases record

// follow takes over the bases of the next record.
func (b *bases) follow(i int, r *record) error {
	if r.version != nil {
		if n, ok := r.version.times(1); !ok || n < 1 || n > senMLVersion || r.version.exponent != 0 {
			return badRecord(i, "has an unsupported version. It must be 1 to %d.", senMLVersion)
		}
		if b.version != nil && b.version.text != r.version.text || b.version == nil && i > 0 && r.version.text != strconv.Itoa(senMLVersion) {
			return badRecord(i, "has another version than the records before it.")
		}
		b.version = r.version
	}
	if r.baseName != nil {
		b.baseName = r.baseName
	}
	if r.baseUnit != "" {
		b.baseUnit = r.baseUnit
	}
	for _, v := range []struct{ to, from **number }{{&b.baseTime, &r.baseTime}, {&b.baseValue, &r.baseValue}, {&b.baseSum, &r.baseSum}} {
		if *v.from != nil {
			*v.to = *v.from
		}
	}
	return nil
}

// sumOf returns a number plus its base as JSON; "" if there is neither.
func sumOf(base, own *number) string {
	switch {
	case base == nil && own == nil:
		return ""
	case base == nil:
		return own.text
	case own == nil:
		return base.text
	}
	return base.plus(own.decimal).String()
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// resolve applies the bases to a record.
func (b *bases) resolve(i int, r *record, now time.Time) (resolved, error) {
	name := textOf(b.baseName) + textOf(r.name)
	if !nameForm.MatchString(name) {
		return resolved{}, badRecord(i, "has the name %s. A name has only letters, digits and - : . / _, and begins with a letter or digit.",
			printable(name))
	}
	value, sum := "", sumOf(b.baseSum, r.sum)
	switch n := r.values(); {
	case n > 1:
		return resolved{}, badRecord(i, "has more than one value.")
	case r.value != nil || n == 0 && r.sum == nil:
		value = sumOf(b.baseValue, r.value)
	}
	if value == "" && r.values() == 0 && sum == "" {
		return resolved{}, badRecord(i, "has no value: one of v, vs, vb, vd or s is needed.")
	}
	if len(value) > iot.MaxJSONDigits || len(sum) > iot.MaxJSONDigits {
		return resolved{}, badRecord(i, "has a number of more than 1,000 digits, with its base.")
	}
	at, err := b.timeOf(i, r, now)
	if err != nil {
		return resolved{}, err
	}
	out := append(append(append(make([]byte, 0, 96+len(name)), `{"name":"`...), name...), '"')
	unit := r.unit
	if unit == "" {
		unit = b.baseUnit
	}
	add := func(member, json string) {
		if json != "" {
			out = append(append(append(append(out, `,"`...), member...), `":`...), json...)
		}
	}
	if unit != `""` {
		add("unit", unit)
	}
	add("time", strconv.FormatInt(at, 10))
	if r.update != nil {
		add("update_time", r.update.text)
	}
	add("value", value)
	add("string_value", r.text)
	add("bool_value", r.flag)
	add("data_value", r.data)
	add("sum", sum)
	return resolved{at, append(out, '}')}, nil
}

// timeOf returns the time of a record in nanoseconds since 1970.
func (b *bases) timeOf(i int, r *record, now time.Time) (int64, error) {
	d := decimal{new(big.Int), 0}
	for _, n := range []*number{b.baseTime, r.time} {
		if n != nil {
			d = d.plus(n.decimal)
		}
	}
	if d.below(sooner) {
		d = d.plus(decimal{big.NewInt(now.UnixNano()), -9})
	}
	ns, ok := d.times(int64(time.Second))
	if !ok {
		return 0, badRecord(i, "has a time that is too far away.")
	}
	return ns, nil
}
