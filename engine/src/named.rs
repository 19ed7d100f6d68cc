//! Enums of a few values, each of which has a name.

/// Declares an enum whose variants have names: `ALL`, `name` and `FromStr` follow from one list.
macro_rules! named {
    (
        $(#[$meta:meta])*
        pub enum $Enum:ident {
            $($(#[$variant_meta:meta])* $Variant:ident = $name:literal,)+
        }
    ) => {
        $(#[$meta])*
        pub enum $Enum {
            $($(#[$variant_meta])* $Variant,)+
        }

        impl $Enum {
            /// Every value.
            pub const ALL: [$Enum; [$($name),+].len()] = [$($Enum::$Variant),+];

            /// Returns the name in options and reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $($Enum::$Variant => $name,)+
                }
            }
        }

        impl std::str::FromStr for $Enum {
            type Err = $crate::options::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    $($name => Ok($Enum::$Variant),)+
                    _ => Err($crate::options::UnknownName),
                }
            }
        }
    };
}

pub(crate) use named;
