# Read by cpack itself, before its generator for .deb looks for dpkg-shlibdeps.
set(SHLIBDEPS_EXECUTABLE "${CPACK_ADYTON_SHLIBDEPS}")
