# Builds programs for Adyton's guests, arm64 Linux, with Debian's cross compilers (package g++-aarch64-linux-gnu):
#   cmake -DCMAKE_TOOLCHAIN_FILE=/usr/share/adyton/cmake/guest-toolchain.cmake ...
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

foreach(language C CXX)
  if(language STREQUAL C)
    set(names aarch64-linux-gnu-gcc aarch64-linux-gnu-gcc-12)
  else()
    set(names aarch64-linux-gnu-g++ aarch64-linux-gnu-g++-12)
  endif()
  find_program(ADYTON_GUEST_${language}_COMPILER NAMES ${names})
  if(ADYTON_GUEST_${language}_COMPILER)
    set(CMAKE_${language}_COMPILER ${ADYTON_GUEST_${language}_COMPILER})
  else()
    list(GET names 0 CMAKE_${language}_COMPILER)  # CMake says that it is missing
  endif()
endforeach()

# Programs come from the host; headers, libraries and packages from the cross compiler's folders, and what Adyton has for its guests.
get_filename_component(_adyton_share "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
list(APPEND CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu "${_adyton_share}/guest")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
unset(_adyton_share)
