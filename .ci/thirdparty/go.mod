module github.com/connexa-panel/connexa/.ci/thirdparty

go 1.26.3

require github.com/google/licensecheck v0.3.1
