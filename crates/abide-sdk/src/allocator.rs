//! The global allocator of a guest: it hands out memory in a row and takes only the last piece back.
//!
//! Every act is a fresh instance, which the host drops whole, so there is nothing to gain from giving memory back; a general allocator is several
//! kilobytes, and its first request grows the memory. This one begins in what is left of the first page behind the data,
//! so that a small act never grows it: growing costs the host several times what the rest of the act does.
#![expect(unsafe_code, reason = "an allocator hands out addresses")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const PAGE_BYTES: usize = 65_536;

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: AtomicUsize::new(0), end: AtomicUsize::new(0) };

unsafe extern "C" {
    /// The linker puts it where the data ends.
    static __heap_base: u8;
}

/// `next` is the first free address, `end` the first beyond the memory; both are 0 until the first request. An instance has one thread, so
/// the atomics are plain loads and stores.
struct Bump {
    next: AtomicUsize,
    end: AtomicUsize,
}

impl Bump {
    fn is_last(&self, at: *mut u8, layout: Layout) -> bool {
        at as usize + layout.size() == self.next.load(Relaxed)
    }

    /// Makes the memory reach `to`.
    fn reach(&self, to: usize) -> bool {
        let end = self.end.load(Relaxed);
        if to <= end {
            return true;
        }
        let pages = (to - end).div_ceil(PAGE_BYTES);
        if memory_grow(0, pages) == usize::MAX {
            return false;
        }
        self.end.store(end + pages * PAGE_BYTES, Relaxed);
        true
    }
}

// SAFETY: a piece begins at or above `next`, which lies behind every piece that is in use, ends within the memory, and is
// aligned as asked.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.end.load(Relaxed) == 0 {
            self.next.store(&raw const __heap_base as usize, Relaxed);
            self.end.store(memory_size(0) * PAGE_BYTES, Relaxed);
        }
        let piece = self.next.load(Relaxed).checked_next_multiple_of(layout.align());
        let ends = piece.and_then(|at| Some((at, at.checked_add(layout.size())?)));
        match ends {
            Some((at, to)) if self.reach(to) => {
                self.next.store(to, Relaxed);
                at as *mut u8
            }
            _ => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if self.is_last(at, layout) {
            self.next.store(at as usize, Relaxed);
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // A list that grows is most often the last piece: it stays where it is.
        if self.is_last(at, layout)
            && let Some(to) = (at as usize).checked_add(size)
            && self.reach(to)
        {
            self.next.store(to, Relaxed);
            return at;
        }
        // SAFETY: the caller keeps to the alignment and the size of a layout, and `at` has `layout.size()` bytes.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                core::ptr::copy_nonoverlapping(at, moved, layout.size().min(size));
            }
            moved
        }
    }
}
