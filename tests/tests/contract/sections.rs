//! The cases, by what they are about.

mod accounts;
mod bounds;
mod clock;
mod common_parameters;
mod encodings;
mod filters;
mod form_signature;
mod hosts;
mod integers;
mod json;
mod lists;
mod passwords;
mod replay;
mod reset;
mod sizes;
mod tasks;
mod tc3_signature;
mod times;
mod transport;

use crate::case::{Case, Story};

/// Cases that belong together.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) cases: Vec<Case>,
    pub(crate) stories: Vec<Story>,
}

pub(crate) fn all() -> Vec<Section> {
    vec![
        transport::section(),
        sizes::section(),
        encodings::section(),
        common_parameters::section(),
        accounts::section(),
        clock::section(),
        form_signature::section(),
        hosts::section(),
        tc3_signature::section(),
        json::section(),
        lists::section(),
        integers::section(),
        times::section(),
        bounds::section(),
        passwords::section(),
        filters::section(),
        tasks::section(),
        reset::section(),
        replay::section(),
    ]
}
