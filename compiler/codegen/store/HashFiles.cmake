# Writes OUTPUT: C++ with a hash over the contents of FILES, in their order.
set(hashes "")
foreach(file ${FILES})
  file(SHA256 ${file} hash)
  string(APPEND hashes ${hash})
endforeach()
string(SHA256 hash "${hashes}")
file(WRITE ${OUTPUT} "namespace oriel::codegen {\nextern const char *const generatedHash;\nconst char *const generatedHash = \"${hash}\";\n}\n")
