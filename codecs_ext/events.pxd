from codecs_ext.ring cimport Ring

cdef list events_list(Ring *ring)
