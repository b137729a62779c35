# Code for the guest, AArch64. The project's own compiler is the host's, so the cross compiler is run by custom commands, with the same
# warnings; depfiles track the headers.
find_program(ADYTON_GUEST_CXX NAMES aarch64-linux-gnu-g++ aarch64-linux-gnu-g++-12 DOC "C++ compiler for the guest" REQUIRED)

set(ADYTON_GUEST_FLAGS -std=gnu++23 -g0 -I${PROJECT_SOURCE_DIR} -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wno-missing-field-initializers)
if(ADYTON_WERROR)
  list(APPEND ADYTON_GUEST_FLAGS -Werror)
endif()

# adyton_guest_objects(VARIABLE [FLAGS flag...] [DEPENDS file...] SOURCES file...)   VARIABLE: the object files. Relative names are the
# project's; others may be generated. DEPENDS: generated headers.
function(adyton_guest_objects variable)
  cmake_parse_arguments(ARG "" "" "FLAGS;DEPENDS;SOURCES" ${ARGN})
  set(objects)
  foreach(source ${ARG_SOURCES})
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE path)
    cmake_path(GET path FILENAME name)
    string(MD5 key ${path})
    string(SUBSTRING ${key} 0 8 key)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/guest-${key}-${name}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${ADYTON_GUEST_CXX} ${ADYTON_GUEST_FLAGS} ${ARG_FLAGS} -MD -MF ${object}.d -c ${path} -o ${object}
      DEPENDS ${path} ${ARG_DEPENDS} DEPFILE ${object}.d
      COMMENT "Building guest object ${name}" VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  set(${variable} ${objects} PARENT_SCOPE)
endfunction()

# adyton_guest_aidl(SOURCES HEADERS FOLDER LANG cpp|ndk FILES file.aidl...)   generates C++ in FOLDER, which is then an include folder.
function(adyton_guest_aidl sources_variable headers_variable folder)
  cmake_parse_arguments(ARG "" "LANG" "FILES" ${ARGN})
  set(sources)
  set(headers)
  foreach(file ${ARG_FILES})
    cmake_path(ABSOLUTE_PATH file NORMALIZE)
    cmake_path(GET file STEM name)
    file(STRINGS ${file} package REGEX "^[ \t]*package[ \t]" LIMIT_COUNT 1)
    string(REGEX REPLACE "^[ \t]*package[ \t]+([A-Za-z0-9_.]+).*" "\\1" package "${package}")
    string(REPLACE "." "/" stem "${package}/${name}")
    if(ARG_LANG STREQUAL ndk)
      set(source ${folder}/${stem}.cpp)
      set(header ${folder}/aidl/${stem}.h)
    else()
      set(source ${folder}/${stem}.cc)
      set(header ${folder}/${stem}.h)
    endif()
    add_custom_command(OUTPUT ${source} BYPRODUCTS ${header}
      COMMAND aidlc --lang=${ARG_LANG} --omit_invocation -o ${folder} --ninja -d ${source}.d ${file}
      DEPENDS aidlc ${file} DEPFILE ${source}.d
      COMMENT "Generating ${package}.${name} from AIDL for the guest" VERBATIM)
    list(APPEND sources ${source})
    list(APPEND headers ${header})
  endforeach()
  set(${sources_variable} ${sources} PARENT_SCOPE)
  set(${headers_variable} ${headers} PARENT_SCOPE)
endfunction()

# adyton_guest_sysroot(SYSROOT MADE package...)   Debian's arm64 packages, fetched when something that depends on the file ${MADE} is built:
# headers and libraries in ${SYSROOT}. What sdk/guest/AdytonGuestPackages.cmake is to projects for the guest.
function(adyton_guest_sysroot sysroot_variable made_variable)
  set(sysroot ${CMAKE_CURRENT_BINARY_DIR}/guest-packages)
  set(program ${PROJECT_SOURCE_DIR}/sdk/guest/guest-packages)
  add_custom_command(OUTPUT ${sysroot}/.packages
    COMMAND ${program} ${sysroot} ${ARGN}
    COMMAND ${CMAKE_COMMAND} -E touch ${sysroot}/.packages
    DEPENDS ${program} COMMENT "Fetching arm64 packages: ${ARGN}" VERBATIM)
  set(${sysroot_variable} ${sysroot} PARENT_SCOPE)
  set(${made_variable} ${sysroot}/.packages PARENT_SCOPE)
endfunction()
