//! Labels of metrics: texts of bounded sets, all of which are known from the start.

/// Label of a metric.
pub(crate) trait Label: Copy + 'static {
    /// All values of the label.
    const ALL: &'static [Self];

    /// Text of the label.
    fn label(self) -> &'static str;
}

/// Implements [`Label`] for an enum by one row for each variant. A variant without a row does not compile.
macro_rules! labels {
    ($set:ty { $($variant:ident => $label:expr),+ $(,)? }) => {
        impl $crate::label::Label for $set {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label),+
                }
            }
        }
    };
}

pub(crate) use labels;
