"""Atomics of the compiler, for what two threads share: acquire loads, release stores, exchange, compare and swap."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #define lc_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define lc_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define lc_exchange(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
    #define lc_exchange_pointer(p, v) __atomic_exchange_n((void **)(p), (void *)(v), __ATOMIC_ACQ_REL)
    #define lc_load_pointer(p) __atomic_load_n((void **)(p), __ATOMIC_RELAXED)
    #define lc_swap_pointer(p, old, new) \\
        __atomic_compare_exchange_n((void **)(p), (void **)(old), (void *)(new), 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
    """
    uint64_t lc_load(uint64_t *place) noexcept nogil
    void lc_store(uint64_t *place, uint64_t value) noexcept nogil
    uint64_t lc_exchange(uint64_t *place, uint64_t value) noexcept nogil
    void *lc_exchange_pointer(void *place, void *value) noexcept nogil
    void *lc_load_pointer(void *place) noexcept nogil
    bint lc_swap_pointer(void *place, void *expected, void *value) noexcept nogil
