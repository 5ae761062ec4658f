# Debian packages by CPack: probed, libprobed0, libprobed-dev.  What is installed without a component is probed's;
# the library's parts name theirs (client/CMakeLists.txt).  scripts/package builds them as they are shipped.

set(DEBIAN ${CMAKE_SOURCE_DIR}/scripts/debian)
set(PACKAGES probed libprobed0 libprobed-dev)
file(STRINGS ${DEBIAN}/changelog newest LIMIT_COUNT 1)
if(NOT newest MATCHES "\\(${PROJECT_VERSION}\\)")
  message(FATAL_ERROR "scripts/debian/changelog begins with \"${newest}\", not with ${PROJECT_VERSION}")
endif()
foreach(package ${PACKAGES})
  install(FILES ${DEBIAN}/copyright ${DEBIAN}/changelog DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package}
    COMPONENT ${package} EXCLUDE_FROM_ALL)
endforeach()
foreach(package probed libprobed0)
  install(FILES ${DEBIAN}/lintian/${package} DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides
    COMPONENT ${package} EXCLUDE_FROM_ALL)
endforeach()

# The library's symbols, each with the version that it came with: scripts/debian/symbols tells it of all by their tag.
set(SYMBOLS ${CMAKE_BINARY_DIR}/debian/symbols)
find_program(DPKG_GENSYMBOLS dpkg-gensymbols)
file(WRITE ${CMAKE_BINARY_DIR}/debian/control "Source: probed\n\nPackage: libprobed0\nArchitecture: any\n")
add_custom_command(OUTPUT ${SYMBOLS}
  COMMAND ${DPKG_GENSYMBOLS} -plibprobed0 -v${PROJECT_VERSION} -I${DEBIAN}/symbols -O${SYMBOLS} -c4 -q
    -e$<TARGET_FILE:probed_shared>
  DEPENDS ${DEBIAN}/symbols probed_shared WORKING_DIRECTORY ${CMAKE_BINARY_DIR} VERBATIM)
add_custom_target(package_symbols DEPENDS ${SYMBOLS}) # of scripts/package

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON) # the settings go to /etc, which is not below the prefix
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_COMPONENTS_ALL ${PACKAGES})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/scripts/cmake/package_tidy.cmake)

# Of no domain that anybody can own (RFC 2606): there is no address yet.
set(CPACK_PACKAGE_CONTACT "The probed authors <probed@probed.invalid>")
set(CPACK_DEBIAN_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each has its own: its first line

# probed: its libraries are found by dpkg-shlibdeps; its user is made by whichever systemd-sysusers there is, and its
# unit reloads it with procps' kill.
set(CPACK_DEBIAN_PROBED_PACKAGE_NAME probed)
set(CPACK_DEBIAN_PROBED_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PROBED_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROBED_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | systemd-sysusers, procps")
set(CPACK_DEBIAN_PROBED_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PROBED_PACKAGE_CONTROL_EXTRA ${DEBIAN}/conffiles ${DEBIAN}/postinst ${DEBIAN}/prerm
  ${DEBIAN}/postrm)
set(CPACK_DEBIAN_PROBED_DESCRIPTION "tells how much of AI accounts is used up
Services on a machine want the quota windows, credits and balances of AI
accounts whose credentials lie in a home directory. probed asks the providers
once however many want to know, remembers the answer for a while, forgets at
once what an old credential answered, and tells everyone concerned.

This package has the daemon with its worker, a command line (probectl), and a
load generator (probeload).")

set(CPACK_DEBIAN_LIBPROBED0_PACKAGE_NAME libprobed0)
set(CPACK_DEBIAN_LIBPROBED0_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBPROBED0_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBPROBED0_PACKAGE_CONTROL_EXTRA ${SYMBOLS} ${DEBIAN}/shlibs ${DEBIAN}/triggers)
set(CPACK_DEBIAN_LIBPROBED0_DESCRIPTION "asks probed how much of AI accounts is used up - library
The client of probed: calls over a connection that threads share, events when
credentials have changed, and a cache that knows when it is current.")

set(CPACK_DEBIAN_LIBPROBED-DEV_PACKAGE_NAME libprobed-dev)
set(CPACK_DEBIAN_LIBPROBED-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBPROBED-DEV_PACKAGE_DEPENDS "libprobed0 (= ${PROJECT_VERSION}), libprotobuf-c-dev")
set(CPACK_DEBIAN_LIBPROBED-DEV_PACKAGE_SUGGESTS libnng-dev) # for the static library
set(CPACK_DEBIAN_LIBPROBED-DEV_DESCRIPTION "asks probed how much of AI accounts is used up - development
The client of probed: calls over a connection that threads share, events when
credentials have changed, and a cache that knows when it is current.

This package has its headers, a static library, a manual page and examples.")

include(CPack)
