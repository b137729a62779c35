# find_package(adyton_payload), with the toolchain file for guests: adyton::payload is what a payload links that is a program,
# adyton::payload_shared what one links that is a shared library (add_library(NAME MODULE ...), with AVmPayload_main()) and calls C functions,
# those of AVF and of the NDK, and adyton_guest_packages() brings Debian's libraries for arm64. One in C++ links adyton::payload.
get_filename_component(_adyton_guest "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET adyton::payload)
  find_package(Threads REQUIRED)
  add_library(adyton::payload STATIC IMPORTED)
  set_target_properties(adyton::payload PROPERTIES
    IMPORTED_LOCATION "${_adyton_guest}/lib/libadyton_payload.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_adyton_guest}/include"
    INTERFACE_COMPILE_FEATURES cxx_std_23
    INTERFACE_LINK_LIBRARIES Threads::Threads)
endif()
if(NOT TARGET adyton::payload_shared)
  add_library(adyton::payload_shared SHARED IMPORTED)
  set_target_properties(adyton::payload_shared PROPERTIES
    IMPORTED_LOCATION "${_adyton_guest}/lib/libadyton_payload.so.0"
    IMPORTED_SONAME libadyton_payload.so.0
    INTERFACE_INCLUDE_DIRECTORIES "${_adyton_guest}/include"
    INTERFACE_COMPILE_FEATURES cxx_std_17)
endif()
include("${_adyton_guest}/../cmake/AdytonGuestPackages.cmake")
unset(_adyton_guest)
