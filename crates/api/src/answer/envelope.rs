use opencpm_domain::{Condition, Refusal};

use super::body::{Body, Writing};
use super::object::Object;
use super::{Output, REQUEST_ID, Style};
use crate::dialect::Dialect;

/// Of every answer, exactly so: clients look for errors only under this name (contract 1).
pub(crate) const CONTENT_TYPE: &str = "application/json";

/// `{"code":0,"message":"OK","codeDesc":"Success","data":{...}}`, without data where there is none;
/// `{"Response":{...,"RequestId":"..."}}`.
pub(crate) fn success(output: Output, style: Style, request_id: &str) -> Body {
    let mut to = Writing::new();
    let shape = output.shape();
    match style.dialect {
        Dialect::V2 => {
            to.push(br#"{"code":0,"message":"OK","codeDesc":"Success""#);
            if !shape.fields.is_empty() {
                to.push(br#","data":"#);
                Object::write(&mut to, style, shape, |object| output.write(object));
            }
            to.push(b"}");
        }
        Dialect::V3 => {
            to.push(br#"{"Response":"#);
            Object::write(&mut to, style, shape, |object| {
                output.write(object);
                object.request_id(request_id);
            });
            to.push(b"}");
        }
    }
    to.finish()
}

/// `{"code":12002,"message":"(12002)...","codeDesc":"..."}`;
/// `{"Response":{"Error":{"Code":"...","Message":"..."},"RequestId":"..."}}` (contract section 7).
pub(crate) fn failure(refusal: &Refusal, dialect: Dialect, request_id: &str) -> Body {
    let mut to = Writing::new();
    let row = refusal.condition.row();
    // A condition without a form in the dialect never arises there; if it did, it would be a defect.
    let bug = Condition::ServerBug.row();
    match dialect {
        Dialect::V2 => {
            let row = if row.code.is_some() { row } else { bug };
            let code = row.code.unwrap_or_default();
            to.push(format!(r#"{{"code":{code},"message":"#).as_bytes());
            to.text(&format!("({code}){}", refusal.message));
            to.push(br#","codeDesc":"#);
            to.text(row.code_desc);
            to.push(b"}");
        }
        Dialect::V3 => {
            to.push(br#"{"Response":{"Error":{"Code":"#);
            to.text(row.code_v3.or(bug.code_v3).unwrap_or_default());
            to.push(br#","Message":"#);
            to.text(&refusal.message);
            to.push(br#"},"#);
            to.text(REQUEST_ID.name_v3.unwrap_or_default());
            to.push(b":");
            to.text(request_id);
            to.push(b"}}");
        }
    }
    to.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::Offset;
    use opencpm_domain::TaskId;

    const V2: Style = Style { dialect: Dialect::V2, offset: Offset::UTC };
    const V3: Style = Style { dialect: Dialect::V3, offset: Offset::UTC };

    fn text(body: Body) -> String {
        String::from_utf8(body.into_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_success_carries_its_data() {
        let accepted = || Output::Accepted(TaskId::new(101).unwrap());
        assert_eq!(
            text(success(accepted(), V2, "r-1")),
            r#"{"code":0,"message":"OK","codeDesc":"Success","data":{"taskId":101}}"#
        );
        assert_eq!(
            text(success(accepted(), V3, "r-1")),
            r#"{"Response":{"TaskId":101,"RequestId":"r-1"}}"#
        );
        assert_eq!(
            text(success(Output::Done, V2, "r-1")),
            r#"{"code":0,"message":"OK","codeDesc":"Success"}"#
        );
        assert_eq!(text(success(Output::Done, V3, "r-1")), r#"{"Response":{"RequestId":"r-1"}}"#);
    }

    #[test]
    fn a_failure_says_which_and_why() {
        let refusal = Refusal::new(Condition::DeviceBusy, "cpm-1: \"busy\"");
        assert_eq!(
            text(failure(&refusal, Dialect::V2, "r-1")),
            r#"{"code":12002,"message":"(12002)cpm-1: \"busy\"","codeDesc":"OperationDenied.IncorrectInstanceStatus"}"#
        );
        assert_eq!(
            text(failure(&refusal, Dialect::V3, "r-1")),
            r#"{"Response":{"Error":{"Code":"ResourceInUse.FlowBusy","Message":"cpm-1: \"busy\""},"RequestId":"r-1"}}"#
        );
    }

    #[test]
    fn every_condition_can_be_answered() {
        for condition in Condition::ALL {
            let refusal = Refusal::from(*condition);
            let read = |dialect| -> serde_json::Value {
                serde_json::from_str(&text(failure(&refusal, dialect, "r-1"))).unwrap()
            };
            let v2 = read(Dialect::V2);
            assert!(v2["code"].as_u64().is_some_and(|code| code >= 4000), "{condition:?}");
            assert!(v2.get("data").is_none());
            let error = &read(Dialect::V3)["Response"]["Error"];
            assert!(!error["Code"].as_str().unwrap().is_empty(), "{condition:?}");
        }
    }
}
