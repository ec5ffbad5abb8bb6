import sys

from dev.stack.cli import main

sys.exit(main())
