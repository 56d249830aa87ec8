//! API 2.0: everything is in a form (contract 2.1).

use opencpm_domain::Refusal;

use crate::asked::Asked;
use crate::common;
use crate::dialect::Dialect;
use crate::form::Form;
use crate::received::Received;

/// Reads a request.
pub(crate) fn read(request: &Received) -> Result<Asked<'static>, Refusal> {
    common::read(Form::decode(&request.encoded)?, Dialect::V2)
}
