//! How parameters and results travel between hosts: the value encoding of the component model, as wRPC has it.
//!
//! One value after the other, without names and without kinds: who reads has to know the types. Integers of more than a byte are
//! LEB128, floats are little-endian, texts and lists begin with how long they are, cases with their number, and flags are bits from the
//! lowest on in as many bytes as it takes. Handles do not travel. What is read comes from anyone.

#[cfg(test)]
mod tests;

use wasmtime::component::{Type, Val};

/// How deep values may lie in each other; the engine allows types of 100.
const DEPTH_MAX: usize = 128;
/// Most bytes of memory that what is read at once may take: as many as the engine allows what a component gives away.
const MEMORY_MAX: usize = 128 << 20;

/// Why values cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value is not of the type that it should be of, or of one that does not travel")]
pub(crate) struct Unsent;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// More has to come.
    #[error("the bytes end within a value")]
    Short,
    #[error("{0} bytes come after the last value")]
    Trailing(usize),
    #[error("a byte is no {0}")]
    Byte(&'static str),
    #[error("an integer is out of its range")]
    Integer,
    #[error("a text is no UTF-8")]
    Text,
    #[error("there is no case of the number {0}")]
    Case(u64),
    #[error("the values take more than {MEMORY_MAX} bytes")]
    Large,
    #[error("the values lie more than {DEPTH_MAX} deep in each other")]
    Deep,
    #[error("a value is of a type that does not travel")]
    Kind,
}

/// Values of these types as bytes.
pub(crate) fn encode(values: &[Val], types: &[Type]) -> Result<Vec<u8>, Unsent> {
    let mut writer = Writer { bytes: Vec::new(), depth: 0 };
    writer.all(values, types.iter().cloned())?;
    Ok(writer.bytes)
}

/// Bytes as values of these types, and nothing but these.
pub(crate) fn decode(bytes: &[u8], types: &[Type]) -> Result<Vec<Val>, Unread> {
    let mut reader = Reader { bytes, room: MEMORY_MAX, depth: 0 };
    let values = types.iter().map(|ty| reader.value(ty)).collect::<Result<_, _>>()?;
    match reader.bytes.len() {
        0 => Ok(values),
        count => Err(Unread::Trailing(count)),
    }
}

struct Writer {
    bytes: Vec<u8>,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Val, ty: &Type) -> Result<(), Unsent> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Unsent);
        }
        match (value, ty) {
            (Val::Bool(value), Type::Bool) => self.bytes.push((*value).into()),
            (Val::S8(value), Type::S8) => self.bytes.extend(value.to_le_bytes()),
            (Val::U8(value), Type::U8) => self.bytes.push(*value),
            (Val::S16(value), Type::S16) => self.signed((*value).into()),
            (Val::U16(value), Type::U16) => self.unsigned((*value).into()),
            (Val::S32(value), Type::S32) => self.signed((*value).into()),
            (Val::U32(value), Type::U32) => self.unsigned((*value).into()),
            (Val::S64(value), Type::S64) => self.signed(*value),
            (Val::U64(value), Type::U64) => self.unsigned(*value),
            (Val::Float32(value), Type::Float32) => self.bytes.extend(value.to_le_bytes()),
            (Val::Float64(value), Type::Float64) => self.bytes.extend(value.to_le_bytes()),
            (Val::Char(value), Type::Char) => {
                self.bytes.extend_from_slice(value.encode_utf8(&mut [0; 4]).as_bytes());
            }
            (Val::String(value), Type::String) => {
                self.length(value.len())?;
                self.bytes.extend_from_slice(value.as_bytes());
            }
            (Val::List(values), Type::List(list)) => {
                self.length(values.len())?;
                let ty = list.ty();
                self.bytes.reserve(values.len());
                for value in values {
                    self.value(value, &ty)?;
                }
            }
            (Val::Record(values), Type::Record(record)) => {
                let mut fields = record.fields();
                for (name, value) in values {
                    let field = fields.next().filter(|field| field.name == name).ok_or(Unsent)?;
                    self.value(value, &field.ty)?;
                }
                fields.next().is_none().then_some(()).ok_or(Unsent)?;
            }
            (Val::Tuple(values), Type::Tuple(tuple)) => self.all(values, tuple.types())?,
            (Val::Variant(name, value), Type::Variant(variant)) => {
                let mut cases = variant.cases().enumerate();
                let (number, case) = cases.find(|(_, case)| case.name == name).ok_or(Unsent)?;
                self.length(number)?;
                self.perhaps(value.as_deref(), case.ty)?;
            }
            (Val::Enum(name), Type::Enum(all)) => {
                self.length(all.names().position(|one| one == name).ok_or(Unsent)?)?;
            }
            (Val::Option(value), Type::Option(option)) => {
                self.bytes.push(value.is_some().into());
                self.perhaps(value.as_deref(), value.is_some().then(|| option.ty()))?;
            }
            (Val::Result(Ok(value)), Type::Result(result)) => {
                self.bytes.push(0);
                self.perhaps(value.as_deref(), result.ok())?;
            }
            (Val::Result(Err(value)), Type::Result(result)) => {
                self.bytes.push(1);
                self.perhaps(value.as_deref(), result.err())?;
            }
            (Val::Flags(set), Type::Flags(flags)) => self.flags(set, flags.names())?,
            _ => return Err(Unsent),
        }
        self.depth -= 1;
        Ok(())
    }

    fn all(&mut self, values: &[Val], types: impl ExactSizeIterator<Item = Type>) -> Result<(), Unsent> {
        if values.len() != types.len() {
            return Err(Unsent);
        }
        values.iter().zip(types).try_for_each(|(value, ty)| self.value(value, &ty))
    }

    fn perhaps(&mut self, value: Option<&Val>, ty: Option<Type>) -> Result<(), Unsent> {
        match (value, ty) {
            (Some(value), Some(ty)) => self.value(value, &ty),
            (None, None) => Ok(()),
            _ => Err(Unsent),
        }
    }

    fn flags<'n>(
        &mut self,
        set: &[String],
        names: impl ExactSizeIterator<Item = &'n str>,
    ) -> Result<(), Unsent> {
        let mut bytes = vec![0_u8; names.len().div_ceil(8).max(1)];
        let mut found = 0;
        for (number, name) in names.enumerate() {
            if set.iter().any(|one| one == name)
                && let Some(byte) = bytes.get_mut(number / 8)
            {
                *byte |= 1 << (number % 8);
                found += 1;
            }
        }
        self.bytes.append(&mut bytes);
        (found == set.len()).then_some(()).ok_or(Unsent)
    }

    fn length(&mut self, length: usize) -> Result<(), Unsent> {
        self.unsigned(u32::try_from(length).map_err(|_| Unsent)?.into());
        Ok(())
    }

    fn unsigned(&mut self, mut value: u64) {
        while value > 0x7f {
            self.bytes.push(0x80 | low(value));
            value >>= 7;
        }
        self.bytes.push(low(value));
    }

    fn signed(&mut self, mut value: i64) {
        // The highest bit of the last seven is the sign.
        while !(-0x40..0x40).contains(&value) {
            self.bytes.push(0x80 | low(value.cast_unsigned()));
            value >>= 7;
        }
        self.bytes.push(low(value.cast_unsigned()));
    }
}

/// The lowest seven bits.
fn low(value: u64) -> u8 {
    let [lowest, ..] = value.to_le_bytes();
    lowest & 0x7f
}

struct Reader<'b> {
    bytes: &'b [u8],
    /// How many bytes of memory the values may yet take.
    room: usize,
    depth: usize,
}

impl<'b> Reader<'b> {
    fn value(&mut self, ty: &Type) -> Result<Val, Unread> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Unread::Deep);
        }
        let value = match ty {
            Type::Bool => Val::Bool(self.bit("boolean")?),
            Type::S8 => Val::S8(self.byte()?.cast_signed()),
            Type::U8 => Val::U8(self.byte()?),
            Type::S16 => Val::S16(self.signed(16)?.try_into().map_err(|_| Unread::Integer)?),
            Type::U16 => Val::U16(self.unsigned(16)?.try_into().map_err(|_| Unread::Integer)?),
            Type::S32 => Val::S32(self.signed(32)?.try_into().map_err(|_| Unread::Integer)?),
            Type::U32 => Val::U32(self.unsigned(32)?.try_into().map_err(|_| Unread::Integer)?),
            Type::S64 => Val::S64(self.signed(64)?),
            Type::U64 => Val::U64(self.unsigned(64)?),
            Type::Float32 => Val::Float32(f32::from_le_bytes(self.array()?)),
            Type::Float64 => Val::Float64(f64::from_le_bytes(self.array()?)),
            Type::Char => Val::Char(self.char()?),
            Type::String => {
                let length = self.length()?;
                let text = std::str::from_utf8(self.take(length)?).map_err(|_| Unread::Text)?;
                Val::String(self.text(text)?)
            }
            Type::List(list) => Val::List(self.list(&list.ty())?),
            Type::Record(record) => {
                let fields = record.fields();
                self.charge(fields.len(), size_of::<(String, Val)>())?;
                let fields = fields.map(|field| Ok((self.text(field.name)?, self.value(&field.ty)?)));
                Val::Record(fields.collect::<Result<_, _>>()?)
            }
            Type::Tuple(tuple) => {
                let types = tuple.types();
                self.charge(types.len(), size_of::<Val>())?;
                Val::Tuple(types.map(|ty| self.value(&ty)).collect::<Result<_, _>>()?)
            }
            Type::Variant(variant) => {
                let (number, nth) = self.case()?;
                let case = variant.cases().nth(nth).ok_or(Unread::Case(number))?;
                Val::Variant(self.text(case.name)?, self.perhaps(case.ty)?)
            }
            Type::Enum(all) => {
                let (number, nth) = self.case()?;
                Val::Enum(self.text(all.names().nth(nth).ok_or(Unread::Case(number))?)?)
            }
            Type::Option(option) => {
                let is_some = self.bit("option")?;
                Val::Option(self.perhaps(is_some.then(|| option.ty()))?)
            }
            Type::Result(result) => Val::Result(match self.bit("result")? {
                false => Ok(self.perhaps(result.ok())?),
                true => Err(self.perhaps(result.err())?),
            }),
            Type::Flags(flags) => Val::Flags(self.flags(flags.names())?),
            _ => return Err(Unread::Kind),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self, ty: &Type) -> Result<Vec<Val>, Unread> {
        let length = self.length()?;
        // No value takes less than a byte.
        if length > self.bytes.len() {
            return Err(Unread::Short);
        }
        self.charge(length, size_of::<Val>())?;
        if *ty == Type::U8 {
            return Ok(self.take(length)?.iter().copied().map(Val::U8).collect());
        }
        let mut values = Vec::with_capacity(length);
        for _ in 0..length {
            values.push(self.value(ty)?);
        }
        Ok(values)
    }

    fn perhaps(&mut self, ty: Option<Type>) -> Result<Option<Box<Val>>, Unread> {
        let Some(ty) = ty else { return Ok(None) };
        self.charge(1, size_of::<Val>())?;
        Ok(Some(Box::new(self.value(&ty)?)))
    }

    fn flags<'n>(&mut self, names: impl ExactSizeIterator<Item = &'n str>) -> Result<Vec<String>, Unread> {
        let bits = self.take(names.len().div_ceil(8).max(1))?;
        let mut set = Vec::new();
        for (number, name) in names.enumerate() {
            if bits.get(number / 8).is_some_and(|byte| byte >> (number % 8) & 1 == 1) {
                self.charge(1, size_of::<String>())?;
                set.push(self.text(name)?);
            }
        }
        Ok(set)
    }

    fn text(&mut self, text: &str) -> Result<String, Unread> {
        self.charge(text.len(), 1)?;
        Ok(text.to_owned())
    }

    /// Takes up so much memory.
    fn charge(&mut self, count: usize, size: usize) -> Result<(), Unread> {
        let taken = count.checked_mul(size).and_then(|all| self.room.checked_sub(all));
        self.room = taken.ok_or(Unread::Large)?;
        Ok(())
    }

    fn char(&mut self) -> Result<char, Unread> {
        let length = match self.bytes.first().ok_or(Unread::Short)? {
            0x00..=0x7f => 1,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return Err(Unread::Text),
        };
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| Unread::Text)?;
        text.chars().next().ok_or(Unread::Text)
    }

    fn bit(&mut self, of: &'static str) -> Result<bool, Unread> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Unread::Byte(of)),
        }
    }

    /// The number of a case.
    fn case(&mut self) -> Result<(u64, usize), Unread> {
        let number = self.unsigned(32)?;
        Ok((number, usize::try_from(number).map_err(|_| Unread::Case(number))?))
    }

    fn length(&mut self) -> Result<usize, Unread> {
        self.unsigned(32)?.try_into().map_err(|_| Unread::Integer)
    }

    fn unsigned(&mut self, bits: u32) -> Result<u64, Unread> {
        let value = self.leb(bits, false)?;
        u64::try_from(value).ok().filter(|value| bits == 64 || value >> bits == 0).ok_or(Unread::Integer)
    }

    fn signed(&mut self, bits: u32) -> Result<i64, Unread> {
        i64::try_from(self.leb(bits, true)?).map_err(|_| Unread::Integer)
    }

    /// An integer of at most so many bytes as one of so many bits takes.
    fn leb(&mut self, bits: u32, signed: bool) -> Result<i128, Unread> {
        let mut value = 0;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            value |= i128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let above = if signed { i128::BITS - shift - 7 } else { 0 };
                return Ok(value << above >> above);
            }
        }
        Err(Unread::Integer)
    }

    fn byte(&mut self) -> Result<u8, Unread> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unread> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or(Unread::Short)?;
        self.bytes = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Unread> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Unread::Short)?;
        self.bytes = rest;
        Ok(taken)
    }
}
