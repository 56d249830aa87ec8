use crate::dialect::Dialect;

/// A field of an answer.
#[derive(Debug)]
pub struct Field {
    /// API 2.0 name; `None` where that dialect has none.
    pub name: Option<&'static str>,
    /// API 3.0 name; `None` where that dialect has none.
    pub name_v3: Option<&'static str>,
    /// Its type.
    pub holds: Holds,
    /// Whether it is always there.
    pub when: When,
    /// One sentence.
    pub meaning: &'static str,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Holds {
    /// A text.
    Text,
    /// A whole number from 0 to 2^53-1.
    Number,
    /// True or false.
    Flag,
    /// A list of texts.
    Texts,
    /// An object.
    Object(&'static Shape),
    /// A list of objects.
    Objects(&'static Shape),
}

/// When a field is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// Where there is something to say.
    Sometimes,
    /// Always, and `null` where nothing is known.
    OrNull,
}

/// The fields of an object.
#[derive(Debug)]
pub struct Shape {
    /// What the documentation calls it.
    pub name: &'static str,
    /// In the order in which they are written.
    pub fields: &'static [&'static Field],
    /// True where API 2.0 writes every scalar as a text (contract 4.3, 4.4).
    pub texts_in_v2: bool,
}

impl Field {
    /// What the dialect calls it.
    pub fn name_in(&self, dialect: Dialect) -> Option<&'static str> {
        match dialect {
            Dialect::V2 => self.name,
            Dialect::V3 => self.name_v3,
        }
    }
}

impl Shape {
    /// The fields that the dialect has, each with its name there.
    pub fn fields_in(
        &self,
        dialect: Dialect,
    ) -> impl Iterator<Item = (&'static str, &'static Field)> {
        self.fields.iter().filter_map(move |field| Some((field.name_in(dialect)?, *field)))
    }

    /// True where the dialect writes its numbers as texts.
    pub fn has_texts_only(&self, dialect: Dialect) -> bool {
        self.texts_in_v2 && dialect == Dialect::V2
    }
}
