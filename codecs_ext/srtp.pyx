"""SRTP (RFC 3711) by libsrtp2, found at run time and called without the interpreter.

libsrtp keeps the rollover counter, the replay windows of 128 packets and the SRTCP index of each source. A session here is one
direction: the two are keyed apart (RFC 4568 6.1), and one may be rekeyed while the other goes on.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

__all__ = ["KEY_BYTES", "PROFILES", "Direction", "load"]

PROFILES = {"AES_CM_128_HMAC_SHA1_80": 1, "AES_CM_128_HMAC_SHA1_32": 2, "AEAD_AES_128_GCM": 7}
"""libsrtp's numbers of the suites (RFC 4568 6.2, RFC 7714 14.2)."""

KEY_BYTES = {"AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30, "AEAD_AES_128_GCM": 28}
"""Master key and salt."""

cdef enum:
    SPECIFIC = 1                # an SSRC
    ANY_INBOUND = 2
    WINDOW = 128                # packets; RFC 3711 3.3.2 asks for 64 at least

cdef extern from "<dlfcn.h>" nogil:
    void *dlopen(const char *path, int flags)
    void *dlsym(void *library, const char *name)
    char *dlerror()
    int RTLD_NOW
    int RTLD_LOCAL

# Of libsrtp 2's srtp.h, whose layout has been the same from 2.0 to 2.7.
cdef struct CryptoPolicy:
    uint32_t cipher
    int cipher_key_bytes
    uint32_t auth
    int auth_key_bytes
    int auth_tag_bytes
    int services

cdef struct Policy:
    int ssrc_type
    uint32_t ssrc
    CryptoPolicy rtp
    CryptoPolicy rtcp
    const uint8_t *key
    void *keys
    unsigned long keys_count
    void *deprecated
    unsigned long window
    int allow_repeat
    int *encrypted_extensions
    int encrypted_extensions_count
    void *next

cdef struct Library:
    int (*init)() noexcept nogil
    int (*create)(void **session, const Policy *policy) noexcept nogil
    int (*dealloc)(void *session) noexcept nogil
    int (*rtp_policy)(CryptoPolicy *policy, int profile) noexcept nogil
    int (*rtcp_policy)(CryptoPolicy *policy, int profile) noexcept nogil
    int (*protect)(void *session, void *packet, int *size) noexcept nogil
    int (*protect_rtcp)(void *session, void *packet, int *size) noexcept nogil
    int (*unprotect)(void *session, void *packet, int *size) noexcept nogil
    int (*unprotect_rtcp)(void *session, void *packet, int *size) noexcept nogil

cdef Library library
cdef bint loaded = False


cdef void *_symbol(void *handle, name: str) except NULL:
    cdef void *found = dlsym(handle, name.encode())
    if found == NULL:
        raise OSError(f"libsrtp2 without {name}")
    return found


def load(path: str) -> str:
    """Loads libsrtp2 from a file, once; returns its version. Raises ``OSError`` if that is no libsrtp2."""
    global loaded
    cdef void *handle = dlopen(path.encode(), RTLD_NOW | RTLD_LOCAL)
    cdef const char *(*version)() noexcept nogil
    cdef bytes told
    cdef Session trial
    if handle == NULL:
        raise OSError((<bytes>dlerror()).decode("utf-8", "replace"))
    version = <const char *(*)() noexcept nogil>_symbol(handle, "srtp_get_version_string")
    told = version()
    if not told.startswith(b"libsrtp2 2."):       # libsrtp 3 has other signatures
        raise OSError(f"{path} is {told.decode('ascii', 'replace')}, not libsrtp 2")
    if loaded:
        return told.decode()
    library.init = <int (*)() noexcept nogil>_symbol(handle, "srtp_init")
    library.create = <int (*)(void **, const Policy *) noexcept nogil>_symbol(handle, "srtp_create")
    library.dealloc = <int (*)(void *) noexcept nogil>_symbol(handle, "srtp_dealloc")
    library.rtp_policy = <int (*)(CryptoPolicy *, int) noexcept nogil>_symbol(
        handle, "srtp_crypto_policy_set_from_profile_for_rtp")
    library.rtcp_policy = <int (*)(CryptoPolicy *, int) noexcept nogil>_symbol(
        handle, "srtp_crypto_policy_set_from_profile_for_rtcp")
    library.protect = <int (*)(void *, void *, int *) noexcept nogil>_symbol(handle, "srtp_protect")
    library.protect_rtcp = <int (*)(void *, void *, int *) noexcept nogil>_symbol(handle, "srtp_protect_rtcp")
    library.unprotect = <int (*)(void *, void *, int *) noexcept nogil>_symbol(handle, "srtp_unprotect")
    library.unprotect_rtcp = <int (*)(void *, void *, int *) noexcept nogil>_symbol(handle, "srtp_unprotect_rtcp")
    # A second initialisation fails and does no harm: pylibsrtp may have been imported. What counts is that sessions open.
    library.init()
    loaded = True
    trial = srtp_open(PROFILES["AES_CM_128_HMAC_SHA1_80"], bytes(30), True, 0)
    loaded = trial != NULL
    if not loaded:
        raise OSError(f"{path}: libsrtp2 cannot be initialised")
    srtp_close(trial)
    return told.decode()


cdef Session srtp_open(int profile, const uint8_t *key, bint inbound, uint32_t ssrc) noexcept nogil:
    """One direction: whatever source comes in, or ours out. NULL without a library, memory, or for an unknown profile."""
    cdef Policy policy
    cdef Session session = NULL
    memset(&policy, 0, sizeof(policy))
    if (not loaded or library.rtp_policy(&policy.rtp, profile) != 0
            or library.rtcp_policy(&policy.rtcp, profile) != 0):
        return NULL
    policy.ssrc_type = ANY_INBOUND if inbound else SPECIFIC
    policy.ssrc = ssrc
    policy.key = key
    policy.window = WINDOW
    if library.create(&session, &policy) != 0:
        return NULL
    return session


cdef void srtp_close(Session session) noexcept nogil:
    """Forgets the keys and frees the session; NULL is allowed."""
    if session != NULL:
        library.dealloc(session)


cdef int srtp_protect(Session session, uint8_t *packet, int size, bint control) noexcept nogil:
    """In place, with room for ``SRTP_TRAILER`` behind. The new size, 0 if the key is used up."""
    cdef int failed = (library.protect_rtcp(session, packet, &size) if control
                       else library.protect(session, packet, &size))
    return 0 if failed else size


cdef int srtp_unprotect(Session session, uint8_t *packet, int size, bint control) noexcept nogil:
    """In place. The new size, 0 if the packet is forged, replayed, or none at all."""
    cdef int failed
    if size < (8 if control else 12):
        return 0
    failed = (library.unprotect_rtcp(session, packet, &size) if control
              else library.unprotect(session, packet, &size))
    return 0 if failed else size


cdef class Direction:
    """One direction alone: ``seal`` of an outgoing one, ``open`` of an incoming one."""

    cdef Session session

    def __cinit__(self, suite: str, key: bytes, *, inbound: bool, ssrc: int = 0) -> None:
        if len(key) != KEY_BYTES[suite]:
            raise ValueError(f"{suite} has keys of {KEY_BYTES[suite]} octets")
        self.session = srtp_open(PROFILES[suite], key, inbound, ssrc)
        if self.session == NULL:
            raise MemoryError("no SRTP session: libsrtp2 is not loaded, or there is no memory")

    def __dealloc__(self) -> None:
        srtp_close(self.session)

    cdef object _run(self, const uint8_t[::1] packet, bint control, bint sealing):
        cdef uint32_t[512 + (SRTP_TRAILER >> 2)] aligned
        cdef uint8_t *place = <uint8_t *>aligned
        cdef int size = <int>packet.shape[0]
        if not 0 < size <= 2048:
            return None
        memcpy(place, &packet[0], size)
        size = srtp_protect(self.session, place, size, control) if sealing else srtp_unprotect(
            self.session, place, size, control)
        return (<char *>place)[:size] if size else None

    def seal(self, const uint8_t[::1] packet not None, control: bool = False):
        """The protected packet, or None; ``control`` for RTCP."""
        return self._run(packet, control, True)

    def open(self, const uint8_t[::1] packet not None, control: bool = False):
        """The packet, or None if it is forged, replayed, or none at all."""
        return self._run(packet, control, False)
