use jiff::tz::Offset;
use opencpm_domain::{
    Condition, DeviceStatus, InstanceId, MaintainStatus, OperateStatus, Password, PasswordPolicy,
    PayMode, Refusal,
};
use opencpm_operations::row::TagFilter;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::given::{Gathered, Given};
use super::kind::{self, Value};
use super::{Action, Kind, Parameter, is_known_name};
use crate::dialect::Dialect;
use crate::form::Form;
use crate::json::Json;
use crate::moment::Moment;

/// The checked arguments of a request.
pub(crate) struct Arguments {
    values: Vec<(&'static Parameter, Value)>,
    password: Option<Password>,
}

/// Decodes and checks the action parameters of a form: presence, type, bounds, unknown names,
/// password policy, in this order (contract 7.1, step 9).
pub(crate) fn decode_form(
    action: &'static Action,
    dialect: Dialect,
    form: &Form,
    policy: PasswordPolicy,
    offset: Offset,
) -> Result<Arguments, Refusal> {
    let gathered = Gathered::from_form(action, dialect, form);
    decode(action, dialect, gathered, policy, offset)
}

/// The same for the object that a body of API 3.0 is.
pub(crate) fn decode_json(
    action: &'static Action,
    body: Vec<(String, Json)>,
    policy: PasswordPolicy,
    offset: Offset,
) -> Result<Arguments, Refusal> {
    let gathered = Gathered::from_json(action, body);
    decode(action, Dialect::V3, gathered, policy, offset)
}

fn decode(
    action: &'static Action,
    dialect: Dialect,
    gathered: Gathered,
    policy: PasswordPolicy,
    offset: Offset,
) -> Result<Arguments, Refusal> {
    let Gathered { given, unknown } = gathered;
    require(action, dialect, &given)?;
    let values = read(action, dialect, given, offset)?;
    check(dialect, &values)?;
    refuse_unknown(action, dialect, &unknown)?;
    Arguments::new(values, policy)
}

fn require(action: &Action, dialect: Dialect, given: &[Given]) -> Result<(), Refusal> {
    let pairs = action.parameters.iter().zip(given);
    let missing: Vec<_> = pairs
        .filter(|(accepted, given)| accepted.required && given.is_missing())
        .map(|(accepted, _)| shown(accepted.parameter, dialect))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("missing: {}", missing.join(", "));
    Err(Refusal::new(Condition::ParameterMissing, message))
}

fn read(
    action: &Action,
    dialect: Dialect,
    given: Vec<Given>,
    offset: Offset,
) -> Result<Vec<(&'static Parameter, Value)>, Refusal> {
    let mut values = Vec::new();
    for (accepted, given) in action.parameters.iter().zip(given) {
        if matches!(given, Given::Absent) {
            continue;
        }
        let parameter = accepted.parameter;
        let value = parameter
            .kind
            .read(given, dialect, offset)
            .map_err(|why| about(Condition::ParameterInvalid, parameter, dialect, &why))?;
        values.push((parameter, value));
    }
    Ok(values)
}

fn check(dialect: Dialect, values: &[(&'static Parameter, Value)]) -> Result<(), Refusal> {
    values.iter().try_for_each(|(parameter, value)| {
        parameter
            .kind
            .check(value, dialect)
            .map_err(|why| about(Condition::ParameterOutOfBounds, parameter, dialect, &why))
    })
}

fn refuse_unknown(
    action: &Action,
    dialect: Dialect,
    unknown: &[Zeroizing<String>],
) -> Result<(), Refusal> {
    let Some(first) = unknown.first() else { return Ok(()) };
    // A password with `&` that was not encoded is cut, and its second piece arrives as a name;
    // also where it was given to an action that takes none.
    let taken = action.parameters.iter().any(|a| a.parameter.kind == Kind::Password);
    let secret = taken || unknown.iter().any(|name| name.to_ascii_lowercase().starts_with("pass"));
    let plain = first.len() <= 64 && first.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    let told = is_known_name(first) || (plain && !secret);
    let which = if told { first.as_str() } else { "a parameter" };
    let parameters = action.parameters.iter().map(|accepted| accepted.parameter);
    let known: Vec<_> = parameters
        .filter(|parameter| parameter.name_in(dialect).is_some())
        .map(|parameter| shown(parameter, dialect))
        .collect();
    let takes = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let message = format!("unknown: {which}; {} takes {takes}", action.name_in(dialect));
    Err(Refusal::new(Condition::ParameterUnknown, message))
}

fn about(condition: Condition, parameter: &Parameter, dialect: Dialect, why: &str) -> Refusal {
    Refusal::new(condition, format!("{}: {why}", parameter.name_in(dialect).unwrap_or_default()))
}

fn shown(parameter: &Parameter, dialect: Dialect) -> String {
    let list = if dialect == Dialect::V2 && parameter.kind.is_list() { ".n" } else { "" };
    format!("{}{list}", parameter.name_in(dialect).unwrap_or_default())
}

impl Arguments {
    fn new(
        mut values: Vec<(&'static Parameter, Value)>,
        policy: PasswordPolicy,
    ) -> Result<Self, Refusal> {
        let place = values.iter().position(|(parameter, _)| parameter.kind == Kind::Password);
        let password = match place.map(|place| values.swap_remove(place)) {
            Some((_, Value::Text(text))) => {
                let password = Password::new(SecretString::from(text.as_str()), policy);
                Some(password.map_err(|rule| {
                    Refusal::new(Condition::ParameterOutOfBounds, rule.to_string())
                })?)
            }
            _ => None,
        };
        Ok(Self { values, password })
    }

    fn value(&self, parameter: &'static Parameter) -> Option<&Value> {
        let found = self.values.iter().find(|(given, _)| std::ptr::eq(*given, parameter));
        found.map(|(_, value)| value)
    }

    /// The password, once.
    pub(super) fn take_password(&mut self) -> Option<Password> {
        self.password.take()
    }

    pub(super) fn text(&self, parameter: &'static Parameter) -> Option<String> {
        match self.value(parameter)? {
            Value::Text(text) => Some(text.as_str().to_owned()),
            _ => None,
        }
    }

    pub(super) fn texts(&self, parameter: &'static Parameter) -> Option<Vec<String>> {
        match self.value(parameter)? {
            Value::Texts(texts) => Some(texts.clone()),
            _ => None,
        }
    }

    pub(super) fn choice(&self, parameter: &'static Parameter) -> Option<&'static str> {
        match (parameter.kind, self.value(parameter)?) {
            (Kind::Choice(names), Value::Text(text)) => kind::choice(names, text),
            _ => None,
        }
    }

    pub(super) fn choices(&self, parameter: &'static Parameter) -> Vec<&'static str> {
        match (parameter.kind, self.value(parameter)) {
            (Kind::Choices(names), Some(Value::Texts(texts))) => {
                texts.iter().filter_map(|text| kind::choice(names, text)).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn integer(&self, parameter: &'static Parameter) -> Option<u64> {
        match self.value(parameter)? {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn integers(&self, parameter: &'static Parameter) -> Vec<u64> {
        match self.value(parameter) {
            Some(Value::Integers(list)) => {
                list.iter().filter_map(|number| u64::try_from(*number).ok()).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn flag(&self, parameter: &'static Parameter) -> Option<bool> {
        self.integer(parameter).map(|number| number == 1)
    }

    pub(super) fn instances(&self, parameter: &'static Parameter) -> Vec<InstanceId> {
        match self.value(parameter) {
            Some(Value::Instances(ids)) => ids.clone(),
            _ => Vec::new(),
        }
    }

    /// Tags, each with its values.
    pub(super) fn tags(&self, parameter: &'static Parameter) -> Vec<TagFilter> {
        match self.value(parameter) {
            Some(Value::Tags(tags)) => tags.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn moment(&self, parameter: &'static Parameter) -> Option<Moment> {
        match self.value(parameter)? {
            Value::Moment(moment) => Some(*moment),
            _ => None,
        }
    }

    pub(super) fn device_status(&self, parameter: &'static Parameter) -> Option<DeviceStatus> {
        DeviceStatus::try_from(u8::try_from(self.integer(parameter)?).ok()?).ok()
    }

    pub(super) fn pay_mode(&self, parameter: &'static Parameter) -> Option<PayMode> {
        PayMode::try_from(u8::try_from(self.integer(parameter)?).ok()?).ok()
    }

    pub(super) fn maintain_status(&self, parameter: &'static Parameter) -> Option<MaintainStatus> {
        MaintainStatus::named(self.choice(parameter)?)
    }

    pub(super) fn operate_status(&self, parameter: &'static Parameter) -> Option<OperateStatus> {
        OperateStatus::try_from(u8::try_from(self.integer(parameter)?).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{ACTIONS, Context, Input};
    use opencpm_domain::{SecretId, Timestamp};
    use opencpm_operations::row::{Unique, UsedNonce};
    use proptest::prelude::*;

    fn decoded(action: &'static Action, form: &str) -> Result<Arguments, Refusal> {
        let form = Form::decode(form.as_bytes())?;
        decode_form(action, Dialect::V2, &form, PasswordPolicy::Seed, Offset::UTC)
    }

    fn refused(action: &str, form: &str) -> Condition {
        let action = Action::named(action, Dialect::V2).unwrap();
        decoded(action, form).map(|_| ()).unwrap_err().condition
    }

    /// Contract 7.1, step 9: of two things that are wrong, the earlier answers.
    #[test]
    fn presence_form_bounds_names_and_policy_are_checked_in_this_order() {
        let log = "DescribeDeviceOperationLog";
        assert_eq!(refused(log, "limit=x&x=1"), Condition::ParameterMissing);
        assert_eq!(refused(log, "instanceId=a&limit=0&offset=x&x=1"), Condition::ParameterInvalid);
        assert_eq!(refused(log, "instanceId=a&limit=0&x=1"), Condition::ParameterOutOfBounds);
        assert_eq!(refused(log, "instanceId=a&limit=1&x=1"), Condition::ParameterUnknown);
        let reset = "ResetDevicePasswd";
        assert_eq!(refused(reset, "instanceIds=a&passwd=p&x=1"), Condition::ParameterUnknown);
        assert_eq!(refused(reset, "instanceIds=a&passwd=p"), Condition::ParameterOutOfBounds);
    }

    #[test]
    fn an_unknown_name_is_told_where_no_password_can_be_in_it() {
        let message = |action, form| {
            let action = Action::named(action, Dialect::V2).unwrap();
            decoded(action, form).map(|_| ()).unwrap_err().message.into_owned()
        };
        let devices = message("DescribeAccounts", "instanceId=a");
        assert_eq!(devices, "unknown: instanceId; DescribeAccounts takes none");
        let limit = message("ResetDevicePasswd", "instanceIds=a&passwd=abcd1234&limit=1");
        assert!(limit.starts_with("unknown: limit; "), "{limit}");
        let elsewhere = message("DescribeAccounts", "passwd=ab&cd1234");
        assert_eq!(elsewhere, "unknown: a parameter; DescribeAccounts takes none");
        let reset = message("ResetDevicePasswd", "instanceIds=a&passwd=ab&cd1234");
        assert_eq!(
            reset,
            "unknown: a parameter; ResetDevicePasswd takes instanceIds.n, passwd, opUin"
        );
    }

    fn any_name() -> impl Strategy<Value = String> {
        let known = ACTIONS.iter().flat_map(|a| a.parameters).map(|a| a.parameter.name);
        let known = proptest::sample::select(known.collect::<Vec<_>>());
        let index = prop_oneof![Just(String::new()), "[.][0-9]{1,2}", "[._][0-9a-z.]{0,3}"];
        prop_oneof![8 => (known, index).prop_map(|(name, index)| name.to_owned() + &index),
            1 => "[a-zA-Z._]{1,9}"]
    }

    fn any_value() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?[0-9]{0,40}",
            "[a-zA-Z0-9_-]{0,20}",
            "[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?",
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn any_form_is_an_input_or_a_refusal(
            place in 0..ACTIONS.len(),
            fields in proptest::collection::vec((any_name(), any_value()), 0..6),
            secs in 0_u64..1 << 40,
        ) {
            let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
            let pairs: Vec<_> =
                fields.iter().map(|(n, v)| format!("{}={}", encoded(n), encoded(v))).collect();
            let action = &ACTIONS[place];
            let now = Timestamp::from_secs(secs);
            let secret_id = SecretId::parse("AKID").unwrap();
            let nonce = UsedNonce { secret_id, timestamp: secs, nonce: 1, expires: now };
            let context = Context { now, offset: Offset::UTC, unique: Unique::Nonce(nonce) };
            let input = decoded(action, &pairs.join("&"))
                .and_then(|given| Input::new(action.operation, given, context));
            if let Err(refusal) = input {
                prop_assert_ne!(refusal.condition, Condition::ServerBug);
            }
        }
    }
}
