# Writes a C file with the bytes of some files: cmake -DOUTPUT=x.c -DHEADER=x.h "-DFILES=a.html;b.css" -P embed.cmake
# "a.html" becomes `embedded_a_html`, a struct embedded of HEADER.
set(source "#include \"${HEADER}\"\n")
foreach(file IN LISTS FILES)
  string(REGEX REPLACE "[^a-z0-9]" "_" name ${file})
  file(READ ${file} bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(..)" "'\\\\x\\1', " bytes "${bytes}")
  string(APPEND source "
static const char ${name}_bytes[] = {${bytes}'\\0'};
const struct embedded embedded_${name} = {${name}_bytes, ${size}};
")
endforeach()
file(WRITE ${OUTPUT} "${source}")
