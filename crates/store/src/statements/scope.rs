//! Keys that are limited to some devices: how the limit is kept, and what it asks of a device.

use opencpm_domain::InstanceId;
use opencpm_operations::port::StoreError;
use opencpm_operations::row::{DeviceScope, TagFilter};
use serde::{Deserialize, Serialize};

use crate::statement::{Builder, Json, each, json};

/// True of a device inside of a scope. The parameter is the scope's lines, see [`lines`]. No
/// subquery depends on the device but the one over its tags, so each is made into a set once.
macro_rules! within {
    (sqlite, $lines:literal) => {
        within!("json_each(", $lines, ")")
    };
    (postgres, $lines:literal) => {
        within!("json_array_elements(", $lines, "::json) AS line (value)")
    };
    ($before:literal, $lines:literal, $after:literal) => {
        concat!(
            "(device.instance IN (SELECT value ->> 'instance' FROM ",
            $before,
            $lines,
            $after,
            ")
              OR EXISTS (SELECT 1 FROM device_tag AS tag
                  WHERE tag.account = device.account AND tag.instance = device.instance
                    AND (tag.key IN (SELECT value ->> 'any' FROM ",
            $before,
            $lines,
            $after,
            ") OR (tag.key, tag.value) IN
                      (SELECT value ->> 'key', value ->> 'value' FROM ",
            $before,
            $lines,
            $after,
            "))))"
        )
    };
}
pub(super) use within;

/// Adds the condition that a device is inside.
pub(super) fn push_within(sql: &mut Builder, scope: &DeviceScope) -> Result<(), StoreError> {
    let lines = lines(scope)?;
    if scope.tags.is_empty() {
        // The few that are listed are looked up, not each device of the account looked at.
        sql.push(" AND device.instance IN (SELECT value ->> 'instance' FROM ");
        sql.push_list(lines).push(")");
        return Ok(());
    }
    sql.push(" AND ");
    let condition = each(within!(sqlite, "?"), within!(postgres, "?")).of(sql.dialect());
    for (number, part) in condition.split('?').enumerate() {
        if number > 0 {
            sql.push_bind(lines.clone());
        }
        sql.push(part);
    }
    Ok(())
}

/// One line for each listed device, each tag with any value, and each tag with one value.
pub(super) fn lines(scope: &DeviceScope) -> Result<Json, StoreError> {
    let listed = scope.instances.iter().map(|id| Line::Instance { instance: id.as_str() });
    let tags = scope.tags.iter().flat_map(|filter| {
        let any = filter.values.is_empty().then_some(Line::Any { any: &filter.key });
        any.into_iter()
            .chain(filter.values.iter().map(|value| Line::Tag { key: &filter.key, value }))
    });
    json(&listed.chain(tags).collect::<Vec<_>>())
}

#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Instance { instance: &'a str },
    Any { any: &'a str },
    Tag { key: &'a str, value: &'a str },
}

/// A scope as its column has it.
#[derive(Serialize, Deserialize)]
struct Kept {
    instances: Vec<String>,
    tags: Vec<(String, Vec<String>)>,
}

/// The column's text.
pub(super) fn save(scope: &DeviceScope) -> Result<String, StoreError> {
    let instances = scope.instances.iter().map(|id| id.as_str().to_owned()).collect();
    let tags = scope.tags.iter().map(|tag| (tag.key.clone(), tag.values.clone())).collect();
    let text = serde_json::to_string(&Kept { instances, tags });
    text.map_err(|error| StoreError::Unavailable(Box::new(error)))
}

/// What [`save`] wrote.
pub(super) fn load(text: &str) -> Result<DeviceScope, StoreError> {
    let corrupt = || StoreError::Corrupt("devices");
    let kept: Kept = serde_json::from_str(text).map_err(|_| corrupt())?;
    let instances = kept.instances.iter().map(|id| InstanceId::parse(id).map_err(|_| corrupt()));
    let tags = kept.tags.into_iter().map(|(key, values)| TagFilter { key, values });
    Ok(DeviceScope { instances: instances.collect::<Result<_, _>>()?, tags: tags.collect() })
}
