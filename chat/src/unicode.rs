//! Properties and cases of characters, as Python's `str` sees them.

use unicode_properties::{GeneralCategory as Category, UnicodeGeneralCategory};

/// Returns whether Python's `str.isspace` and `str.strip` take the character for a space.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub(super) fn is_alpha(c: char) -> bool {
    matches!(
        c.general_category(),
        Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::TitlecaseLetter
            | Category::ModifierLetter
            | Category::OtherLetter
    )
}

pub(super) fn is_decimal(c: char) -> bool {
    c.general_category() == Category::DecimalNumber
}

/// Returns whether the character is a digit, also a raised, lowered or enclosed one.
pub(super) fn is_digit(c: char) -> bool {
    is_decimal(c)
        || matches!(c,
            '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{2070}' | '\u{2074}'..='\u{2079}' | '\u{2080}'..='\u{2089}'
            | '\u{2460}'..='\u{2468}' | '\u{2474}'..='\u{247c}' | '\u{2488}'..='\u{2490}'
            | '\u{24ea}' | '\u{24f5}'..='\u{24fd}' | '\u{24ff}' | '\u{2776}'..='\u{277e}'
            | '\u{2780}'..='\u{2788}' | '\u{278a}'..='\u{2792}')
}

/// Returns whether the character has a value as a number.
pub(super) fn is_numeric(c: char) -> bool {
    let category = c.general_category();
    matches!(category, Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber)
        || "〇一二三四五六七八九十百千万亿億兆零壹贰叁肆伍陆柒捌玖拾佰仟両两弐参廿卅卌".contains(c)
}

/// Returns whether the character is in upper or title case.
pub(super) fn is_cased_up(c: char) -> bool {
    c.is_uppercase() || c.general_category() == Category::TitlecaseLetter
}

fn is_cased(c: char) -> bool {
    c.is_lowercase() || is_cased_up(c)
}

pub(super) fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c == '_' || is_alpha(c) || c.general_category() == Category::LetterNumber)
        && chars.all(|c| {
            c == '_'
                || is_alpha(c)
                || matches!(
                    c.general_category(),
                    Category::LetterNumber
                        | Category::DecimalNumber
                        | Category::NonspacingMark
                        | Category::SpacingMark
                        | Category::ConnectorPunctuation
                )
        })
}

/// Writes the character in title case. Few differ from upper case.
fn title_case(c: char, into: &mut String) {
    match c {
        'Ǆ' | 'ǅ' | 'ǆ' => into.push('ǅ'),
        'Ǉ' | 'ǈ' | 'ǉ' => into.push('ǈ'),
        'Ǌ' | 'ǋ' | 'ǌ' => into.push('ǋ'),
        'Ǳ' | 'ǲ' | 'ǳ' => into.push('ǲ'),
        'ß' => into.push_str("Ss"),
        'ﬀ' => into.push_str("Ff"),
        'ﬁ' => into.push_str("Fi"),
        'ﬂ' => into.push_str("Fl"),
        c if ('ა'..='ჺ').contains(&c) => into.push(c),
        c => into.extend(c.to_uppercase()),
    }
}

/// Puts the first letter of every run of letters in title case, and the others in lower case.
pub(super) fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            titled.extend(c.to_lowercase());
        } else {
            title_case(c, &mut titled);
        }
        inside = is_cased(c);
    }
    titled
}

pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let mut capitalized = String::with_capacity(text.len());
    if let Some(first) = chars.next() {
        title_case(first, &mut capitalized);
    }
    capitalized + &chars.as_str().to_lowercase()
}

pub(super) fn swapcase(text: &str) -> String {
    let mut swapped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_uppercase() {
            swapped.extend(c.to_lowercase());
        } else {
            swapped.extend(c.to_uppercase());
        }
    }
    swapped
}

/// Folds cases for comparison. Letters whose folding is neither their lower case nor `ss` are rare and stay.
pub(super) fn casefold(text: &str) -> String {
    text.replace(['ß', 'ẞ'], "ss").replace('ς', "σ").to_lowercase().replace('ς', "σ")
}

pub(super) fn is_title(text: &str) -> bool {
    let (mut any, mut inside) = (false, false);
    for c in text.chars() {
        if is_cased_up(c) && inside || c.is_lowercase() && !inside {
            return false;
        }
        inside = is_cased(c);
        any |= inside;
    }
    any
}
