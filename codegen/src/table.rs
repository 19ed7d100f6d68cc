//! Enums that are tables: one row per variant.

/// Declares an enum and the table of its rows.
///
/// A row is a struct with at least the field `name: &'static str`. The macro derives from it:
/// - the variants in order, [`ALL`](crate::Isa::ALL), and `name()`;
/// - `row()`, the row of a variant;
/// - `Display` and `FromStr`, which write and read the name.
macro_rules! table {
    (
        $(#[$meta:meta])*
        pub enum $Enum:ident: $Row:ty
        where
            $(#[$table_meta:meta])*
            table = $table_vis:vis $TABLE:ident,
            error = $Error:ty: $error:expr,
        {
            $($(#[$doc:meta])* $Variant:ident => $row:expr,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $Enum {
            $($(#[$doc])* $Variant,)+
        }

        $(#[$table_meta])*
        $table_vis static $TABLE: [$Row; [$($Enum::$Variant),+].len()] = [$($row),+];

        impl $Enum {
            /// Every variant, in the order of the table.
            pub const ALL: [$Enum; [$($Enum::$Variant),+].len()] = [$($Enum::$Variant),+];

            /// Returns the row of this variant.
            pub(crate) const fn row(self) -> &'static $Row {
                &$TABLE[self as usize]
            }

            /// Returns the name in specs, on the command line and in records.
            pub const fn name(self) -> &'static str {
                self.row().name
            }
        }

        impl std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $Enum {
            type Err = $Error;

            fn from_str(name: &str) -> Result<Self, $Error> {
                $Enum::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| ($error)(name))
            }
        }
    };
}

pub(crate) use table;
