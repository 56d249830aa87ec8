//! The reference in Markdown: every action, answer and error.

use std::fmt::Write;

use opencpm_domain::Condition;

use super::code;
use super::schema::{field_in_words, in_words};
use crate::action::{ACTIONS, Access, Action, Parameter};
use crate::answer::{Field, SHAPES, Shape};
use crate::dialect::Dialect;

/// The reference, as Markdown.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for (title, access) in
        [("Actions of an account", Access::Account), ("Administrative actions", Access::Admin)]
    {
        text += &format!("\n## {title}\n");
        ACTIONS.iter().filter(|a| a.access == access).for_each(|a| text += &one_action(a));
    }
    text += "\n## Answers\n";
    SHAPES.iter().filter(|s| !s.fields.is_empty()).for_each(|s| text += &one_shape(s));
    text + &errors()
}

const HEAD: &str = "\
# API reference

Every action with its parameters, answer and errors, in both dialects. This file is written by
`cargo xtask docs` from the tables that the server itself works with; a test fails when they differ.
How to send and sign a request, and what to do about an error: [api.md](api.md).

A dash means that the dialect has no such action, parameter or field.
";

fn one_action(action: &Action) -> String {
    let names: Vec<_> = action.names.iter().map(|name| format!("`{name}`")).collect();
    let v3 = action.name_v3.map_or("no action".to_owned(), |name| format!("`{name}`"));
    let mut text = format!("\n### {}\n\n{}\n\n", action.name(), action.meaning);
    let _ = writeln!(text, "API 2.0: {}. API 3.0: {v3}.", names.join(" and "));
    if action.parameters.is_empty() {
        text += "\nNo parameters.\n";
    } else {
        text += "\n| API 2.0 | API 3.0 | required | value | meaning |\n";
        text += "| --- | --- | --- | --- | --- |\n";
        for accepted in action.parameters {
            text += &one_parameter(accepted.parameter, accepted.required);
        }
    }
    text += &match action.answer.fields {
        [] => "\nAnswers nothing.\n".to_owned(),
        _ => format!("\nAnswers [{0}](#{1}).\n", action.answer.name, anchor(action.answer)),
    };
    let mut codes: Vec<_> =
        action.raises.iter().filter_map(|condition| condition.row().code).collect();
    codes.dedup();
    let codes: Vec<_> = codes.iter().map(u16::to_string).collect();
    let _ = writeln!(text, "\nRaises, besides the common codes: {}.", codes.join(", "));
    text
}

fn one_parameter(parameter: &Parameter, required: bool) -> String {
    let list = if parameter.kind.is_list() { ".n" } else { "" };
    let [v2, v3] = [Dialect::V2, Dialect::V3].map(|dialect| in_words(parameter.kind, dialect));
    let value =
        if v2 == v3 || parameter.name_v3.is_none() { v2 } else { format!("{v2}; API 3.0: {v3}") };
    format!(
        "| `{}{list}` | {} | {} | {value} | {} |\n",
        parameter.name,
        name(parameter.name_v3),
        if required { "yes" } else { "" },
        parameter.meaning
    )
}

fn name(name: Option<&str>) -> String {
    name.map_or("-".to_owned(), |name| format!("`{name}`"))
}

fn anchor(shape: &Shape) -> String {
    shape.name.to_lowercase()
}

fn one_shape(shape: &'static Shape) -> String {
    let mut text = format!("\n### {}\n\n", shape.name);
    text += "| API 2.0 | API 3.0 | value | meaning |\n| --- | --- | --- | --- |\n";
    for field in shape.fields {
        text += &one_field(shape, field);
    }
    text
}

fn one_field(shape: &Shape, field: &Field) -> String {
    let [v2, v3] = [Dialect::V2, Dialect::V3].map(|dialect| field_in_words(field, dialect, shape));
    let value = match (field.name, field.name_v3) {
        (Some(_), Some(_)) if v2 != v3 => format!("{v2}; API 3.0: {v3}"),
        (Some(_), _) => v2,
        (None, _) => v3,
    };
    format!("| {} | {} | {value} | {} |\n", name(field.name), name(field.name_v3), field.meaning)
}

fn errors() -> String {
    let mut text = "\n## Errors\n\n| API 2.0 | `codeDesc` | API 3.0 | when |\n".to_owned();
    text += "| --- | --- | --- | --- |\n";
    for condition in Condition::ALL {
        let [v2, v3] = [Dialect::V2, Dialect::V3].map(|dialect| code(*condition, dialect));
        let description = Some(condition.row().code_desc).filter(|text| !text.is_empty());
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            v2.as_deref().unwrap_or("-"),
            name(description),
            name(v3.as_deref()),
            condition.meaning()
        );
    }
    text
}
