package ingest

import (
	"math/big"
	"strconv"
	"strings"
)

// decimal is a number as written: digits × 10^exponent. Sums of decimals are exact.
type decimal struct {
	digits   *big.Int
	exponent int
}

// maxDecimal bounds digits and exponent, so that a short text cannot make a number of a
// million digits. It exceeds the range of a double in both.
const maxDecimal = 400

// parseDecimal reads a number in JSON's form. ok is false for any other text, and
// beyond maxDecimal.
func parseDecimal(text string) (d decimal, ok bool) {
	mantissa, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.Atoi(text[i+1:])
		if err != nil || n < -maxDecimal || n > maxDecimal {
			return d, false
		}
		mantissa, exponent = text[:i], n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if len(digits) == 0 || len(digits) > maxDecimal || strings.ContainsAny(fraction, "+-_") || strings.ContainsAny(whole, "+_") {
		return d, false
	}
	n, ok := new(big.Int).SetString(digits, 10)
	return decimal{n, exponent - len(fraction)}, ok
}

func powerOfTen(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// plus returns the exact sum.
func (d decimal) plus(o decimal) decimal {
	if d.exponent > o.exponent {
		d, o = o, d
	}
	scaled := new(big.Int).Mul(o.digits, powerOfTen(o.exponent-d.exponent))
	return decimal{scaled.Add(scaled, d.digits), d.exponent}
}

// times returns the number × unit, truncated to an integer. ok is false if that does
// not fit.
func (d decimal) times(unit int64) (n int64, ok bool) {
	v := new(big.Int).Mul(d.digits, big.NewInt(unit))
	if d.exponent >= 0 {
		v.Mul(v, powerOfTen(d.exponent))
	} else {
		v.Quo(v, powerOfTen(-d.exponent))
	}
	return v.Int64(), v.IsInt64()
}

// below reports whether the number is less than n.
func (d decimal) below(n int64) bool {
	return d.plus(decimal{big.NewInt(-n), 0}).digits.Sign() < 0
}

// String returns the number in JSON's form, without trailing zeros.
func (d decimal) String() string {
	digits, exponent := d.digits.String(), d.exponent
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for len(digits) > 1 && digits[len(digits)-1] == '0' {
		digits, exponent = digits[:len(digits)-1], exponent+1
	}
	const widest = 21 // the same bound as other writers of JSON
	switch point := len(digits) + exponent; {
	case digits == "0":
		return "0"
	case exponent >= 0 && point <= widest:
		return sign + digits + strings.Repeat("0", exponent)
	case exponent < 0 && point > 0:
		return sign + digits[:point] + "." + digits[point:]
	case exponent < 0 && point > -6:
		return sign + "0." + strings.Repeat("0", -point) + digits
	}
	return sign + digits + "e" + strconv.Itoa(exponent)
}
