//! Reports of results: the summary that is printed, and `report.html`.

mod html;
mod markup;
mod plot;
mod scale;
mod summary;

pub(crate) use self::html::page;
pub(crate) use self::summary::Summary;
