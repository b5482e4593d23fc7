//! From a limit to a token bucket, and back.
//!
//! A bucket that is small makes the rate exact and costs much: the kernel cuts every packet that does not fit into it
//! (up to 64 KiB before segmentation) into pieces, and what it misses by waking up late is lost. One that is large lets
//! a pod exceed its rate after every pause. 10 ms of the rate is what a kernel timer on a busy machine is surely in time
//! for, and more than a whole packet from 58 Mbit/s on, where cutting would begin to show. With it one TCP stream gets
//! 95.6 % of the rate, which is all that Ethernet, IP and TCP headers leave, from 1 Mbit/s to 10 Gbit/s.

use podnet_netutil::TokenBucket;

use super::Limit;

const BITS: u64 = 8;
/// A burst lasts 1/100 s at the rate.
const BURSTS_IN_A_SECOND: u64 = 100;
/// At low rates 10 ms is less than a packet.
const LEAST_PACKETS: u32 = 8;
/// What may wait lasts 1/40 s: 25 ms, as in the reference.
const QUEUES_IN_A_SECOND: u64 = 40;
const ETHERNET_HEADER: u32 = 14;
/// The largest packet before segmentation, with the headers that its segments will have.
const LARGEST_UNCUT: u32 = 72 * 1024;

/// The bucket that keeps to a limit on a link with this MTU.
pub(super) fn bucket(limit: &Limit, mtu: u32) -> TokenBucket {
    let bytes_per_second = (limit.bits_per_second / BITS).max(1);
    let frame = mtu.saturating_add(ETHERNET_HEADER);
    let derived = derived_burst(bytes_per_second, frame);
    if let Some(given) = limit.burst_bits.map(|bits| capped(bits / BITS)) {
        return given_bucket(bytes_per_second, given, frame, derived);
    }
    TokenBucket { bytes_per_second, burst: derived, queue: queue(bytes_per_second, derived) }
}

/// The bucket with a burst that was asked for: what the reference sets, and its CHECK looks for, wherever that works.
fn given_bucket(bytes_per_second: u64, given: u32, frame: u32, derived: u32) -> TokenBucket {
    let bucket =
        |burst| TokenBucket { bytes_per_second, burst, queue: queue(bytes_per_second, burst) };
    let reference = bucket(given);
    if reference.kept_burst() < frame {
        // A full packet must pass, or none does: with what is lost by rounding to a microsecond and a tick.
        return bucket(capped(bytes_per_second / 900_000).saturating_add(frame + 2));
    }
    if reference.is_given_as_time() {
        return reference;
    }
    // The reference's own CHECK does not find this burst again. One that an operator made huge must not be one that waits;
    // a packet that passes whole has to.
    let burst = given.min(TokenBucket::largest_burst(bytes_per_second));
    let waiting = burst.min(derived.max(LARGEST_UNCUT));
    TokenBucket { bytes_per_second, burst, queue: queue(bytes_per_second, waiting) }
}

/// What may wait: a burst, and what comes in 25 ms.
fn queue(bytes_per_second: u64, burst: u32) -> u32 {
    capped(bytes_per_second / QUEUES_IN_A_SECOND).saturating_add(burst)
}

/// The limit that a bucket keeps to.
pub(super) fn limit(bucket: &TokenBucket) -> Limit {
    Limit {
        bits_per_second: bucket.bytes_per_second.saturating_mul(BITS),
        burst_bits: Some(u64::from(bucket.burst) * BITS),
    }
}

fn derived_burst(bytes_per_second: u64, frame: u32) -> u32 {
    capped(bytes_per_second / BURSTS_IN_A_SECOND).max(frame.saturating_mul(LEAST_PACKETS))
}

fn capped(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bits_per_second: u64, burst_bits: Option<u64>) -> TokenBucket {
        bucket(&Limit { bits_per_second, burst_bits }, 1500)
    }

    #[test]
    fn a_derived_burst_is_10_ms_and_at_least_eight_packets() {
        for (rate, burst, queue) in [
            (1_000, 12_112, 12_115),
            (1_000_000, 12_112, 15_237),
            (100_000_000, 125_000, 437_500),
            (1_000_000_000, 1_250_000, 4_375_000),
            (1_000_000_000_000_000, u32::MAX, u32::MAX),
        ] {
            let bucket = of(rate, None);
            assert_eq!((bucket.bytes_per_second, bucket.burst), (rate / 8, burst), "{rate}");
            assert_eq!(bucket.queue, queue, "{rate}");
        }
    }

    #[test]
    fn a_given_burst_is_kept_within_what_works() {
        // The kubelet's: two to the power of 31 less one, in bits.
        let whole = of(1_000_000_000, Some(2_147_483_647));
        assert_eq!((whole.burst, whole.queue), (268_435_455, 268_435_455 + 3_125_000));
        assert_eq!(of(1_000_000, Some(2_147_483_647)).burst, 125_000 * 274);
        assert_eq!(of(1_000_000, Some(2_147_483_647)).queue, 3_125 + LARGEST_UNCUT);
        for rate in [1_000, 1_000_000, 7_654_321_000, 1_000_000_000_000] {
            let least = of(rate, Some(8));
            assert!(least.kept_burst() >= 1514, "{least:?}");
            assert!(least.burst < 1520 + capped(rate / 8 / 500_000), "{least:?}");
        }
        assert_eq!(of(0, None).bytes_per_second, 1);
    }

    #[test]
    fn a_limit_is_read_back_from_its_bucket() {
        let wanted = Limit { bits_per_second: 8_000_000, burst_bits: Some(800_000) };
        assert_eq!(limit(&bucket(&wanted, 1500)), wanted);
    }
}
