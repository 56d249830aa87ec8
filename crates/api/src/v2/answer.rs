use opencpm_domain::{Condition, Refusal};
use serde::Serialize;
use zeroize::Zeroizing;

/// The body of an answer. Wiped when it was sent: it may hold a new key's secret.
pub(crate) type Answer = Zeroizing<Vec<u8>>;

/// Of every answer, exactly so: clients look for errors only under this name (contract 1).
pub(crate) const CONTENT_TYPE: &str = "application/json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T> {
    code: u16,
    message: &'a str,
    code_desc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a T>,
}

/// `{"code":0,"message":"OK","codeDesc":"Success","data":...}`; without data where there is none.
pub(crate) fn success<T: Serialize>(data: Option<&T>) -> Result<Answer, Refusal> {
    let envelope = Envelope { code: 0, message: "OK", code_desc: "Success", data };
    written(&envelope).ok_or_else(|| Condition::ServerBug.into())
}

/// `{"code":12002,"message":"(12002)...","codeDesc":"..."}` (contract section 7).
pub(crate) fn failure(refusal: &Refusal) -> Answer {
    let row = refusal.condition.row();
    // A condition without a 2.0 form never arises here; if it did, it would be a defect.
    let bug = Condition::ServerBug.row();
    let (code, code_desc) = match row.code {
        Some(code) => (code, row.code_desc),
        None => (bug.code.unwrap_or(6000), bug.code_desc),
    };
    let message = format!("({code}){}", refusal.message);
    let envelope = Envelope::<()> { code, message: &message, code_desc, data: None };
    written(&envelope).unwrap_or_default()
}

fn written<T: Serialize>(envelope: &T) -> Option<Answer> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(512));
    serde_json::to_writer(&mut *bytes, envelope).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Answer) -> &str {
        std::str::from_utf8(answer).unwrap()
    }

    #[test]
    fn a_success_carries_its_data() {
        let data = serde_json::json!({"taskId": 101});
        assert_eq!(
            text(&success(Some(&data)).unwrap()),
            r#"{"code":0,"message":"OK","codeDesc":"Success","data":{"taskId":101}}"#
        );
    }

    #[test]
    fn a_failure_repeats_its_code_in_front_of_the_message() {
        let refusal = Refusal::new(Condition::DeviceBusy, "cpm-1: \"busy\"");
        assert_eq!(
            text(&failure(&refusal)),
            r#"{"code":12002,"message":"(12002)cpm-1: \"busy\"","codeDesc":"OperationDenied.IncorrectInstanceStatus"}"#
        );
    }

    #[test]
    fn every_condition_can_be_answered() {
        for condition in Condition::ALL {
            let answer = failure(&Refusal::from(*condition));
            let json: serde_json::Value = serde_json::from_slice(&answer).unwrap();
            assert!(json["code"].as_u64().is_some_and(|code| code >= 4000), "{condition:?}");
            assert!(json.get("data").is_none());
        }
    }
}
