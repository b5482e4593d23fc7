//! A failure of kubenet's as CNI has it: a code, and one line with all causes.

use std::error::Error as StdError;

use podnet_cni_spec::{CniError, ErrorCode};
use podnet_netutil::lock::LockError;
use podnet_plugin_api::error::{BoxError, Causes};

use crate::error::Error;

pub(super) fn cni_error(error: impl Into<BoxError>) -> CniError {
    let causes = Causes::new(error);
    let code = causes.iter().find_map(|cause| code_of(cause)).unwrap_or(ErrorCode::INTERNAL);
    CniError::new(code, causes.to_string())
}

fn code_of(error: &(dyn StdError + 'static)) -> Option<ErrorCode> {
    if let Some(causes) = error.downcast_ref::<Causes>() {
        return causes.iter().find_map(|cause| code_of(cause));
    }
    match error.downcast_ref::<Error>() {
        Some(error) => Some(code(error)),
        None => error.source().and_then(code_of),
    }
}

fn code(error: &Error) -> ErrorCode {
    match error {
        Error::StandardPlugin(error) => error.code(),
        Error::Exec(error) => error.code(),
        Error::Config(error) => error.code,
        Error::Several(causes) => code_of(causes).unwrap_or(ErrorCode::INTERNAL),
        Error::Name(_) => ErrorCode::INVALID_ENVIRONMENT,
        Error::MtuTooSmallForIpv6 { .. } | Error::PodCidrOverlaps { .. } | Error::Bandwidth(_) => {
            ErrorCode::INVALID_NETWORK_CONFIG
        }
        Error::Lock(LockError::Held { .. }) => ErrorCode::TRY_AGAIN_LATER,
        Error::Lock(_) | Error::File(_) | Error::Record(_) => ErrorCode::IO_FAILURE,
        Error::Net(podnet_netutil::Error::Netns { .. }) => ErrorCode::INVALID_NETNS,
        _ => ErrorCode::INTERNAL,
    }
}
