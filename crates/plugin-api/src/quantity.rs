//! Kubernetes quantities: `10M`, `1.5Gi`, `2e6`.

use std::ops::RangeInclusive;

/// A number that is not negative, exact, as numerator and denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity {
    numerator: u128,
    denominator: u128,
}

impl Quantity {
    /// Reads a quantity by the grammar of Kubernetes' `resource.Quantity`.
    ///
    /// None for what is no quantity, negative, or too large or precise to be held here: nobody means that.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        let end = unsigned.bytes().position(|byte| !is_number(byte)).unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let mantissa: u128 = format!("{whole}{fraction}").parse().ok()?;
        let (two, ten) = exponents(suffix)?;
        let ten = ten.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let power = 10_u128.checked_pow(ten.unsigned_abs())?;
        let numerator = mantissa.checked_mul(1 << two)?;
        if ten < 0 {
            return Some(Self { numerator, denominator: power });
        }
        Some(Self { numerator: numerator.checked_mul(power)?, denominator: 1 })
    }

    pub(crate) fn is_within(self, range: &RangeInclusive<u128>) -> bool {
        let at_least = |bound: u128| {
            bound.checked_mul(self.denominator).is_some_and(|bound| self.numerator >= bound)
        };
        let at_most = |bound: u128| {
            bound.checked_mul(self.denominator).is_none_or(|bound| self.numerator <= bound)
        };
        at_least(*range.start()) && at_most(*range.end())
    }

    pub(crate) fn rounded_up(self) -> u128 {
        self.numerator.div_ceil(self.denominator)
    }
}

/// What a suffix multiplies with, as powers of two and of ten.
fn exponents(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => (0, suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_quantity_is_read() {
        let cases = [
            ("0", 0),
            ("+7", 7),
            ("10M", 10_000_000),
            ("1.5Gi", 3 << 29),
            ("2e6", 2_000_000),
            ("25E-1", 3),
            ("1E", 1_000_000_000_000_000_000),
            ("5.", 5),
            (".5k", 500),
            ("1500m", 2),
            ("0.1", 1),
        ];
        for (text, value) in cases {
            assert_eq!(Quantity::parse(text).map(Quantity::rounded_up), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in [
            "", ".", "-1", "++1", "1.2.3", "1K", "1ki", "1kk", " 1", "1 ", "1e", "e3", "1e99",
            "0x10",
        ] {
            assert_eq!(Quantity::parse(text), None, "{text:?}");
        }
        assert_eq!(Quantity::parse(&"9".repeat(60)), None);
    }

    #[test]
    fn bounds_are_compared_before_rounding() {
        let within = |text| Quantity::parse(text).unwrap().is_within(&(1000..=2000));
        assert!(within("1k") && within("2k") && within("1000.5"));
        assert!(!within("999.9") && !within("2000.1") && !within("1e-38"));
    }
}
