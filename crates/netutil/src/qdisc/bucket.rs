//! The token bucket filter, tbf (`include/uapi/linux/pkt_sched.h`, `tc_tbf_qopt`).

use netlink_packet_core::{DefaultNla, Nla as _, NlaBuffer, NlasIterator};
use netlink_packet_route::tc::{TcAttribute, TcOption};

use super::kind;

const KIND: &str = "tbf";
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
/// Tells the kernel that it needs no table of what packets of each size cost.
const TC_LINKLAYER_ETHERNET: u8 = 1;
/// The kernel counts the time that a burst lasts in ticks of 64 ns, and tells it in 32 bits.
const TICK_NS: u64 = 64;
const NS_IN_A_SECOND: u64 = 1_000_000_000;
const US_IN_A_SECOND: u64 = 1_000_000;
/// A burst that is given as a time lasts no longer: 32 bits of nanoseconds.
const LONGEST_US: u64 = 4_294_967;

// Where the fields are in `tc_tbf_qopt`: rate and peak rate, twelve bytes each, then three words.
const LINKLAYER_AT: usize = 1;
const RATE_AT: usize = 8;
const LIMIT_AT: usize = 24;
const BUFFER_AT: usize = 28;
const PARMS_BYTES: usize = 36;

/// A token bucket: it fills at a steady rate, and a packet leaves when there is enough in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    /// How fast it fills, in bytes a second; at least 1.
    pub bytes_per_second: u64,
    /// How much it holds, in bytes: what may leave at once, to within what fills it in a microsecond
    /// ([`TokenBucket::kept_burst`]). Packets that are larger are dropped, save those that the kernel can cut in pieces.
    pub burst: u32,
    /// How many bytes may wait; what comes in addition is dropped.
    pub queue: u32,
}

impl TokenBucket {
    /// The largest burst at this rate that the kernel can tell again, in bytes.
    #[must_use]
    pub fn largest_burst(bytes_per_second: u64) -> u32 {
        let seconds = u64::from(u32::MAX) * TICK_NS / NS_IN_A_SECOND;
        u32::try_from(bytes_per_second.saturating_mul(seconds)).unwrap_or(u32::MAX)
    }

    /// The burst as the kernel is given it. Up to four seconds that is a time in whole microseconds, as `tc` and libraries
    /// for Go have it, so that each finds the values it would have set; beyond, it is the burst.
    #[must_use]
    pub fn kept_burst(&self) -> u32 {
        match self.lasts_ticks() {
            Some(ticks) => in_32_bits(bytes_within(ticks * TICK_NS, self.bytes_per_second)),
            None => self.burst,
        }
    }

    /// Whether the burst is one that the kernel is given as a time: one that lasts no longer than 32 bits of nanoseconds.
    #[must_use]
    pub fn is_given_as_time(&self) -> bool {
        self.lasts_ticks().is_some()
    }

    /// Whether this is what the kernel tells of `other` once it has it: it rounds bursts to what passes in 64 ns.
    #[must_use]
    pub fn is_told_of(&self, other: &Self) -> bool {
        let tolerance = bytes_within(2 * TICK_NS, other.bytes_per_second) + 4;
        self.bytes_per_second == other.bytes_per_second
            && self.queue == other.queue
            && u64::from(self.burst.abs_diff(other.kept_burst())) <= tolerance
    }

    /// How long the burst lasts, unless that is too long to be given as a time.
    fn lasts_ticks(&self) -> Option<u64> {
        let microseconds = u64::from(self.burst) * US_IN_A_SECOND / self.bytes_per_second.max(1);
        // None at all would be refused.
        let microseconds = Some(microseconds.max(1)).filter(|it| *it <= LONGEST_US);
        microseconds.map(|it| it * 1000 / TICK_NS)
    }

    pub(super) fn attributes(&self) -> Vec<TcAttribute> {
        let option = |kind, bytes| TcOption::Other(DefaultNla::new(kind, bytes));
        let mut options = vec![
            option(TCA_TBF_PARMS, self.parameters().to_vec()),
            option(TCA_TBF_RATE64, self.bytes_per_second.to_ne_bytes().to_vec()),
        ];
        if self.lasts_ticks().is_none() {
            options.push(option(TCA_TBF_BURST, self.burst.to_ne_bytes().to_vec()));
        }
        vec![TcAttribute::Kind(KIND.to_owned()), TcAttribute::Options(options)]
    }

    fn parameters(&self) -> [u8; PARMS_BYTES] {
        let rate = u32::try_from(self.bytes_per_second).unwrap_or(u32::MAX);
        let mut bytes = [0; PARMS_BYTES];
        put(&mut bytes, LINKLAYER_AT, &[TC_LINKLAYER_ETHERNET]);
        put(&mut bytes, RATE_AT, &rate.to_ne_bytes());
        put(&mut bytes, LIMIT_AT, &self.queue.to_ne_bytes());
        let ticks = in_32_bits(self.lasts_ticks().unwrap_or_default());
        put(&mut bytes, BUFFER_AT, &ticks.to_ne_bytes());
        bytes
    }

    /// Reads what the kernel tells; none where it is no token bucket.
    pub(super) fn from_attributes(attributes: &[TcAttribute]) -> Option<Self> {
        if kind(attributes)? != KIND {
            return None;
        }
        attributes.iter().find_map(|attribute| match attribute {
            TcAttribute::Options(options) => options.iter().find_map(Self::from_option),
            _ => None,
        })
    }

    /// All options stand in one attribute, which the library leaves as it is.
    fn from_option(option: &TcOption) -> Option<Self> {
        let TcOption::Other(nested) = option else { return None };
        let mut bytes = vec![0; nested.value_len()];
        nested.emit_value(&mut bytes);
        let find = |wanted: u16| {
            let mut options = NlasIterator::new(&bytes).filter_map(Result::ok);
            options.find(|option| option.kind() == wanted).map(value)
        };
        let parameters = find(TCA_TBF_PARMS)?;
        let rate = match find(TCA_TBF_RATE64) {
            Some(rate) => u64::from_ne_bytes(*rate.first_chunk()?),
            None => u64::from(word(&parameters, RATE_AT)?),
        };
        let lasts = u64::from(word(&parameters, BUFFER_AT)?) * TICK_NS;
        let burst = in_32_bits(bytes_within(lasts, rate));
        Some(Self { bytes_per_second: rate, burst, queue: word(&parameters, LIMIT_AT)? })
    }
}

/// What passes in some nanoseconds at a rate in bytes a second.
fn bytes_within(nanoseconds: u64, rate: u64) -> u64 {
    let bytes = u128::from(nanoseconds) * u128::from(rate) / u128::from(NS_IN_A_SECOND);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn in_32_bits(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn value(option: NlaBuffer<&[u8]>) -> Vec<u8> {
    option.value().to_vec()
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    for (byte, value) in bytes.iter_mut().skip(at).zip(field) {
        *byte = *value;
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
