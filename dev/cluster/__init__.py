"""A real Kubernetes of one node for tests: etcd, API server, controllers, scheduler, kubelet, containerd.

    components/   a Go module that names what is built, from the Go module proxy
    build         builds it once into CONTROL_ROOM_HOME/kubernetes/<version>
    pki           a certificate authority, the certificates and the tokens of one cluster
    image         images without a registry: a Debian root and an engine, as one archive for containerd
    plane         starts the processes in a folder of their own, and ends them

Everything listens on 127.0.0.1; pods have a network of their own without a way out, and reach one address of
this machine (`plane.HOST`), where tests put what pods need. Root alone can make pods. Nothing of it is for
production.
"""
