use opencpm_domain::Timestamp;

use super::body::{Many, Writing};
use super::{Field, Holds, REQUEST_ID, Shape, Style, When};
use crate::moment;

/// Longer lists are written while they are sent.
const MOST_AT_ONCE: usize = 1_000;

/// An object in the making. Fields that the dialect does not have are left out; a test fails when
/// one is written that the table does not list, or one is missing that is always there.
pub(crate) struct Object<'a> {
    to: &'a mut Writing,
    style: Style,
    shape: &'static Shape,
    written: Vec<&'static str>,
}

impl<'a> Object<'a> {
    /// Writes one object with its braces.
    pub(super) fn write(
        to: &'a mut Writing,
        style: Style,
        shape: &'static Shape,
        fields: impl FnOnce(&mut Object<'_>),
    ) {
        to.push(b"{");
        let mut object = Object { to: &mut *to, style, shape, written: Vec::new() };
        fields(&mut object);
        object.check();
        to.push(b"}");
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    pub(super) fn text(&mut self, field: &'static Field, text: &str) {
        if self.begin(field) {
            self.to.text(text);
        }
    }

    pub(super) fn number(&mut self, field: &'static Field, number: u64) {
        if self.begin(field) {
            let digits = number.to_string();
            match self.shape.has_texts_only(self.style.dialect) {
                true => self.to.text(&digits),
                false => self.to.push(digits.as_bytes()),
            }
        }
    }

    pub(super) fn flag(&mut self, field: &'static Field, flag: bool) {
        if self.begin(field) {
            self.to.push(if flag { b"true" } else { b"false" });
        }
    }

    /// A time; unknown is empty (contract 4.3).
    pub(super) fn time(&mut self, field: &'static Field, time: Option<Timestamp>) {
        let text = moment::text_or_empty(time, self.style.offset);
        self.text(field, &text);
    }

    /// A text, or nothing: left out or null, as the table says.
    pub(super) fn optional(&mut self, field: &'static Field, text: Option<&str>) {
        match text {
            Some(text) => self.text(field, text),
            None if field.when == When::OrNull && self.begin(field) => self.to.push(b"null"),
            None => {}
        }
    }

    pub(super) fn texts<'t>(
        &mut self,
        field: &'static Field,
        texts: impl IntoIterator<Item = &'t str>,
    ) {
        if self.begin(field) {
            self.to.list(texts, |to, text| to.text(text));
        }
    }

    pub(super) fn object(&mut self, field: &'static Field, fields: impl FnOnce(&mut Object<'_>)) {
        if let Holds::Object(shape) = field.holds
            && self.begin(field)
        {
            Object::write(self.to, self.style, shape, fields);
        }
    }

    pub(super) fn objects<T>(
        &mut self,
        field: &'static Field,
        items: impl IntoIterator<Item = T>,
        fields: impl Fn(T, &mut Object<'_>),
    ) {
        if let Holds::Objects(shape) = field.holds
            && self.begin(field)
        {
            let style = self.style;
            self.to.list(items, |to, item| {
                Object::write(to, style, shape, |object| fields(item, object));
            });
        }
    }

    /// A list that may be so long that it is better written while it is sent. `fields` writes the
    /// item at a place.
    pub(super) fn many(
        &mut self,
        field: &'static Field,
        count: usize,
        fields: impl Fn(usize, &mut Object<'_>) + Send + Sync + 'static,
    ) {
        if count <= MOST_AT_ONCE {
            self.objects(field, 0..count, fields);
        } else if let Holds::Objects(shape) = field.holds
            && self.begin(field)
        {
            let style = self.style;
            let write = move |place, to: &mut Writing| {
                Object::write(to, style, shape, |object| fields(place, object));
            };
            self.to.later(Many::new(count, Box::new(write)));
        }
    }

    /// Writes the name; false where the dialect has no such field.
    fn begin(&mut self, field: &'static Field) -> bool {
        debug_assert!(
            self.shape.fields.iter().any(|known| std::ptr::eq(*known, field)),
            "{} has no {field:?} in the table",
            self.shape.name
        );
        let Some(name) = field.name_in(self.style.dialect) else { return false };
        self.name(name);
        true
    }

    /// The last field of every answer of API 3.0.
    pub(super) fn request_id(&mut self, id: &str) {
        if let Some(name) = REQUEST_ID.name_in(self.style.dialect) {
            self.name(name);
            self.to.text(id);
        }
    }

    fn name(&mut self, name: &'static str) {
        if !self.written.is_empty() {
            self.to.push(b",");
        }
        self.written.push(name);
        self.to.text(name);
        self.to.push(b":");
    }

    fn check(&self) {
        debug_assert!(
            self.shape.fields_in(self.style.dialect).all(|(name, field)| {
                field.when == When::Sometimes || self.written.contains(&name)
            }),
            "{} lacks a field, it has {:?}",
            self.shape.name,
            self.written
        );
    }
}
