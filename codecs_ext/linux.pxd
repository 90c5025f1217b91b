"""System calls of Linux that the plane makes, as far as Cython does not ship them."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int CLOCK_REALTIME
    int clock_gettime(int clock, timespec *now)

cdef extern from "<errno.h>" nogil:
    int errno
    int EAGAIN
    int EINTR
    int ECONNREFUSED

cdef extern from "<unistd.h>" nogil:
    int close(int fd)
    ssize_t read(int fd, void *data, size_t size)
    ssize_t write(int fd, const void *data, size_t size)

cdef extern from "<sys/mman.h>" nogil:
    int PROT_READ
    int PROT_WRITE
    int MAP_PRIVATE
    int MAP_ANONYMOUS
    int MAP_NORESERVE
    void *MAP_FAILED
    void *mmap(void *place, size_t size, int protection, int flags, int fd, long offset)
    int munmap(void *place, size_t size)

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *data, size_t size, unsigned int flags)

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        uint16_t sa_family
    struct sockaddr_storage:
        uint16_t ss_family
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    int AF_INET
    int AF_INET6
    int AF_UNSPEC
    int SOCK_DGRAM
    int SOCK_CLOEXEC
    int SOL_SOCKET
    int SO_TIMESTAMPNS
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    int MSG_TRUNC
    int socket(int family, int type, int protocol)
    int connect(int fd, const sockaddr *address, socklen_t size)
    int SHUT_WR
    ssize_t recv(int fd, void *data, size_t size, int flags)
    ssize_t send(int fd, const void *data, size_t size, int flags)
    int shutdown(int fd, int how)
    ssize_t sendto(int fd, const void *data, size_t size, int flags, const sockaddr *address, socklen_t address_size)
    int recvmmsg(int fd, mmsghdr *messages, unsigned int count, int flags, timespec *timeout)
    int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
    cmsghdr *CMSG_FIRSTHDR(msghdr *message)
    uint8_t *CMSG_DATA(cmsghdr *message)

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        uint16_t sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char *text, void *address)
    uint16_t htons(uint16_t value)

cdef extern from "<sys/epoll.h>" nogil:
    union epoll_data:
        uint32_t u32
    struct epoll_event:
        uint32_t events
        epoll_data data
    int EPOLL_CTL_ADD
    int EPOLL_CTL_DEL
    int EPOLL_CTL_MOD
    uint32_t EPOLLIN
    uint32_t EPOLLET
    int EPOLL_CLOEXEC
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)
    int epoll_wait(int epoll, epoll_event *events, int count, int timeout)

cdef extern from "<sys/eventfd.h>" nogil:
    int EFD_NONBLOCK
    int EFD_CLOEXEC
    int eventfd(unsigned int initial, int flags)

cdef extern from "<sys/timerfd.h>" nogil:
    struct itimerspec:
        timespec it_interval
        timespec it_value
    int TFD_CLOEXEC
    int TFD_TIMER_ABSTIME
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec *value, itimerspec *old)

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int SIG_SETMASK
    int sigfillset(sigset_t *signals)

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    ctypedef struct pthread_attr_t:
        pass
    struct sched_param:
        int sched_priority
    int SCHED_FIFO
    int PTHREAD_EXPLICIT_SCHED
    int pthread_attr_init(pthread_attr_t *attributes)
    int pthread_attr_destroy(pthread_attr_t *attributes)
    int pthread_attr_setstacksize(pthread_attr_t *attributes, size_t size)
    int pthread_attr_setinheritsched(pthread_attr_t *attributes, int inherit)
    int pthread_attr_setschedpolicy(pthread_attr_t *attributes, int policy)
    int pthread_attr_setschedparam(pthread_attr_t *attributes, const sched_param *parameters)
    int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *) noexcept nogil,
                       void *argument)
    int pthread_join(pthread_t thread, void **result)
    int pthread_sigmask(int how, const sigset_t *signals, sigset_t *old)
    int pthread_setname_np(pthread_t thread, const char *name)


cdef inline int64_t nanoseconds(int clock) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec
