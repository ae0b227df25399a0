//! Reports of results: the summary that is printed, and `report.html`.

mod summary;

pub(crate) use self::summary::Summary;
