//! JSON from outside, bounded in size and in depth before it is parsed.

use serde_json::Value;

use crate::error::{CniError, ErrorCode};

#[cfg(test)]
mod tests;

/// The largest configuration accepted, in bytes.
pub const MAX_CONFIG_BYTES: usize = 1024 * 1024;
/// How deep arrays and objects may be nested.
pub const MAX_DEPTH: usize = 64;

fn refused(what: &str, why: impl std::fmt::Display) -> CniError {
    CniError::new(ErrorCode::DECODING_FAILURE, format!("cannot decode {what}: {why}"))
}

/// Parses at most `max_bytes` of JSON nested at most [`MAX_DEPTH`] deep. `what` is named in errors.
///
/// # Errors
/// Code 6 if it is larger, deeper, or no JSON.
pub fn parse(what: &str, bytes: &[u8], max_bytes: usize) -> Result<Value, CniError> {
    if bytes.len() > max_bytes {
        return Err(refused(what, format_args!("it is larger than {max_bytes} bytes")));
    }
    if depth_exceeds(bytes, MAX_DEPTH) {
        return Err(refused(what, format_args!("it is nested deeper than {MAX_DEPTH}")));
    }
    serde_json::from_slice(bytes).map_err(|error| refused(what, error))
}

/// Whether brackets outside of strings are ever open more than `limit` deep.
fn depth_exceeds(bytes: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}
