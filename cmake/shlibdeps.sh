#!/bin/sh
# dpkg-shlibdeps for cpack: leaves out what is for guests. Those programs and libraries are of another architecture, and the package does not
# depend on what they need.
left=$#
while [ "$left" -gt 0 ]; do
  case $1 in
    */share/adyton/*) ;;
    *) set -- "$@" "$1" ;;
  esac
  shift
  left=$((left - 1))
done
exec dpkg-shlibdeps "$@"
